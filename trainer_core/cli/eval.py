"""`backprop eval`: how good the answers are, beside the base model's or another run's."""

import json as json_lines
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trainer_core.cli.asking_options import (
    Batch,
    Checkpoint,
    Count,
    Data,
    MaxTokens,
    Seed,
    Source,
    Split,
    Temperature,
    TopP,
)
from trainer_core.cli.eval_report import (
    Pair,
    answered_pairs,
    as_json,
    compared_perplexity,
    lines_of,
)
from trainer_core.cli.headless import follow, say
from trainer_core.cli.options import Json
from trainer_core.cli.predict import with_base_if_wanted
from trainer_core.config.predict_section import BATCH, PredictRequest
from trainer_core.config.sampling import Sampling
from trainer_core.errors import EXIT_FAILED, EXIT_FINISHED, UserError
from trainer_core.files import write_atomically
from trainer_core.runs.folder import RunFolder
from trainer_core.scoring.answers import Score, fitting
from trainer_core.scoring.compare import (
    PERPLEXITY,
    Compared,
    compare,
    gate_of,
    scores_by_name,
)
from trainer_core.worker.launching import asked_source, launch_predict

# In place of another model.
BASE, NOBODY = "base", "none"


def eval(
    source: Source = "last",
    vs: Annotated[
        str, typer.Option(help="Beside what: base (its base model), another of these, or none.")
    ] = BASE,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="A score, repeatable; all that fit what is expected if none."),
    ] = None,
    regex: Annotated[
        str | None, typer.Option(help="Also whether this pattern is found in the answer.")
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(help="Also your own: FILE.py:NAME, of an answer and what was expected."),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit status 1 if this score is worse than the other's, or than a number: "
            "exact>=0.8, perplexity<=3."
        ),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file of prompts with the answers that are expected.")
    ] = None,
    data: Data = None,
    split: Split = None,
    count: Count = None,
    checkpoint: Checkpoint = None,
    max_tokens: MaxTokens = 256,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    batch_size: Batch = BATCH,
    json: Json = False,
) -> None:
    """Score answers: backprop eval RUN --vs base --gate exact."""
    gates = [gate_of(text) for text in gate or []]
    if vs == NOBODY and (compared := [one.score for one in gates if one.limit is None]):
        raise UserError(
            f"with --vs none {compared[0]} has nothing to be compared with",
            hint="Give the gate a number: exact>=0.8.",
        )

    def scores(expected: Sequence[str]) -> dict[str, Score]:
        found = scores_by_name(of_answers(metric or fitting(expected)), regex, function)
        others = of_answers(one.score for one in gates if one.score not in found)
        return found | scores_by_name(others)

    scores([""])  # what is no score, and that there is no base, is said before anything starts
    if vs == BASE:
        asked_source(source, base=True)
    how = {
        "sampling": Sampling(max_tokens, temperature, top_p, seed),
        "batch_size": batch_size,
    }
    asked = {
        "source": source,
        "checkpoint": checkpoint,
        "prompts": prompts,
        "data": data,
        "split": split,
        "count": count,
    }
    ours, theirs = _answered(how | asked, as_json=json), None
    if vs != NOBODY:
        # The same prompts, wherever they were from: those that were answered.
        beside = {"source": source if vs == BASE else vs, "base": vs == BASE or None}
        theirs = _answered(how | beside | {"prompts": ours.predictions_file}, as_json=json)
    pairs = answered_pairs(ours, theirs)
    found, failed = _compared(scores([pair.expected for pair in pairs]), pairs, alone=vs == NOBODY)
    if metric is None or PERPLEXITY in {*metric, *(one.score for one in gates)}:
        found |= compared_perplexity(pairs, alone=vs == NOBODY)
    judged = {one: one.judge(found[one.score], len(pairs)) for one in gates if one.score in found}
    facts = as_json(found, pairs, theirs, judged)
    write_atomically(ours.path / "eval.json", json_lines.dumps(facts, indent=1).encode() + b"\n")
    if json:
        sys.stdout.write(json_lines.dumps({"type": "compared", **facts}) + "\n")
    else:
        print("\n".join(lines_of(found, len(pairs), vs)))
    for passed, sentence in judged.values():
        if sentence:
            say(f"warning: {sentence}" if passed else sentence)
    if failed:
        raise failed[0]
    if unknown := [one.score for one in gates if one.score not in found]:
        raise UserError(f"{unknown[0]} is not known of these answers", hint="Gate another score.")
    raise typer.Exit(EXIT_FINISHED if all(passed for passed, _ in judged.values()) else EXIT_FAILED)


def _compared(
    scores: Mapping[str, Score], pairs: Sequence[Pair], *, alone: bool
) -> tuple[dict[str, Compared], list[UserError]]:
    """Each score that could be computed, and why others could not."""
    expected, answers = [pair.expected for pair in pairs], [pair.answer for pair in pairs]
    others = None if alone else [pair.other for pair in pairs]
    found: dict[str, Compared] = {}
    failed = []
    for name, score in scores.items():
        try:
            found |= compare({name: score}, expected, answers, others)
        except UserError as error:
            failed.append(error)
    return found, failed


def of_answers(names: Iterable[str]) -> list[str]:
    """Scores that answers have; perplexity is the model's own."""
    return [name for name in names if name != PERPLEXITY]


def _answered(given: dict[str, Any], *, as_json: bool) -> RunFolder:
    """The folder of a prediction job that has finished; where it did not, its status is ours."""
    folder = launch_predict(with_base_if_wanted(PredictRequest.of(given)))
    status = follow(folder, as_json=as_json)
    if status != EXIT_FINISHED:
        raise typer.Exit(status)
    return folder
