"""Three domains of text, far apart, as files of prompts and completions."""

import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
FACTS = ROOT / "configs" / "demo" / "train.jsonl"
ARITHMETIC = DATA / "gsm8k" / "train.jsonl"
ANNOUNCEMENTS = DATA / "wwdc25" / "wwdc25_data_train.jsonl"
ROWS = 320
LONGEST = 300  # characters of an answer: the models are tiny


def write_domains(folder: Path) -> list[Path]:
    """Write facts.jsonl (the demo's), arithmetic.jsonl (GSM8K's worded problems) and
    announcements.jsonl (a conference's); the domains in the order in which they are learnt."""
    domains = {
        "facts": _facts(),
        "arithmetic": _pairs(ARITHMETIC, "question", "answer"),
        "announcements": _pairs(ANNOUNCEMENTS, "prompt", "completion"),
    }
    files = []
    for name, rows in domains.items():
        unique = dict(rows)
        lines = [
            json.dumps({"prompt": prompt, "completion": answer[:LONGEST]})
            for prompt, answer in list(unique.items())[:ROWS]
        ]
        files.append(folder / f"{name}.jsonl")
        files[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files


def _facts() -> Iterator[tuple[str, str]]:
    for line in FACTS.read_text(encoding="utf-8").splitlines():
        question, answer = json.loads(line)["messages"]
        yield question["content"], answer["content"]


def _pairs(file: Path, prompt: str, answer: str) -> Iterator[tuple[str, str]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if len(row[prompt]) < LONGEST:
            yield row[prompt], row[answer]
