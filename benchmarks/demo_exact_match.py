"""How many held-out questions the demo's model answers exactly, before and after training.

    python benchmarks/demo_exact_match.py RUN_FOLDER

Prints one JSON object with both counts. Greedy answers, compared after stripping white space.
"""

import json
import sys
from pathlib import Path

from peft import PeftModel
from transformers import AutoModelForCausalLM

from trainer_core.config.shipped import shipped
from trainer_core.data.asked import asked_in_words
from trainer_core.engine.answers import answer_asked
from trainer_core.runs.control import Control
from trainer_core.tokens.examples import Encoder
from trainer_core.tokens.tokenizer import load_tokenizer


def main(run: Path) -> None:
    """Ask both models every held-out question."""
    demo = shipped("configs") / "demo"
    rows = [json.loads(line)["messages"] for line in (demo / "held_out.jsonl").open()]
    questions = [asked_in_words(row[0]["content"]) for row in rows]
    expected = [row[1]["content"].strip() for row in rows]
    encoder = Encoder(load_tokenizer(demo / "base"), "demo")

    def right(model: object) -> int:
        answers = answer_asked(model, encoder, questions, 24, Control())
        return sum(answers.get(place) == want for place, want in enumerate(expected))

    base = AutoModelForCausalLM.from_pretrained(str(demo / "base")).eval()
    before = right(base)
    tuned = PeftModel.from_pretrained(base, str(run / "adapter" / "last")).eval()
    print(json.dumps({"questions": len(rows), "before": before, "after": right(tuned)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
