"""Rows a second of predictions in batches, against one prompt after another, in one process.

    python benchmarks/predict_batches.py MODEL ROWS.jsonl [--rows N] [--batch 32] [--max-tokens 64]

MODEL is a folder, ROWS a file of any format that training reads. Prompts that fill the model's
context are left out of both sides. Prints both rates, their ratio, and how many answers differ.
"""

import argparse
import time
from pathlib import Path

from trainer_core.answering.models import TransformersModel
from trainer_core.config.predict_section import BATCH
from trainer_core.config.sampling import Sampling
from trainer_core.data.asked import asked_of
from trainer_core.engine.evaluate import all_of, prepared_like
from trainer_core.engine.subject import subject_in
from trainer_core.runs.control import Control


def main() -> None:
    """Ask everything twice."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("rows", type=Path)
    options.add_argument("--rows", dest="count", type=int, default=None)
    options.add_argument("--batch", type=int, default=BATCH)
    options.add_argument("--max-tokens", type=int, default=64)
    given = options.parse_args()
    subject = subject_in(given.model.absolute())
    data = all_of(str(given.rows.absolute()), subject.config)
    prepared = prepared_like(subject.config, given.model.absolute(), data, own_process=False)
    talks = prepared.conversations("train", given.count)
    asked = [one for talk in talks if (one := asked_of(talk)) is not None]
    model = TransformersModel(subject)
    room = (model.context or 1 << 30) - given.max_tokens
    prompts = [ids for one in asked if len(ids := model.ids(one.turns, one.tools)) < room]
    tokens = sum(map(len, prompts))
    print(f"{len(prompts)} of {len(asked)} prompts fit, {tokens / len(prompts):.0f} tokens each")
    sampling, control = Sampling(given.max_tokens), Control()
    answers, rates = [], []
    for size in (given.batch, 1):
        began = time.perf_counter()
        answers.append(dict(model.answers(prompts, sampling, size, control)))
        seconds = time.perf_counter() - began
        written = sum(made.tokens for made in answers[-1].values())
        rates.append(len(prompts) / seconds)
        print(f"batch {size}: {rates[-1]:.2f} rows/s, {written / seconds:,.0f} tokens/s")
    differ = sum(answers[0][n].text != answers[1][n].text for n in range(len(prompts)))
    print(f"ratio {rates[0] / rates[1]:.1f}; {differ} of {len(prompts)} answers differ")


if __name__ == "__main__":
    main()
