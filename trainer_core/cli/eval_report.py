"""A comparison of answers, as a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.scoring.compare import Compared, Gate

FORMAT = 1


@dataclass(frozen=True)
class Pair:
    """A prompt's answer, the other model's to the same prompt, and the one that was expected."""

    expected: str
    answer: str
    other: str = ""


def answered_pairs(ours: RunFolder, theirs: RunFolder | None) -> list[Pair]:
    """What both have answered and is expected. The others' rows count the lines of ours. Raises
    UserError where nothing is."""
    lines = [json.loads(line) for line, _ in read_lines(ours.predictions_file)]
    pairs = [Pair(line["expected"], line["answer"]) for line in lines if _is_expected(line)]
    if theirs is not None:
        others = [json.loads(line) for line, _ in read_lines(theirs.predictions_file)]
        pairs = [
            Pair(line["expected"], line["answer"], other["answer"])
            for other in others
            if _is_expected(line := lines[other["row"]])
        ]
    if not pairs:
        raise UserError(
            "of no prompt it is known what was expected, so nothing can be scored",
            hint="Name rows with answers: --split, --data, or prompts with `expected`.",
        )
    return pairs


def _is_expected(line: Mapping[str, Any]) -> bool:
    return isinstance(line.get("expected"), str)


def table(found: Mapping[str, Compared], rows: int, vs: str) -> list[str]:
    """Each score with its 95 % interval; beside another's, and their difference."""
    lines = [f"{rows:,} rows, 95 % intervals"]
    heads = ["score", "value", vs, "difference"]
    alone = all(one.other is None for one in found.values())
    cells = [heads[:2] if alone else heads]
    for name, one in found.items():
        row = [name, _interval(one.value.value, one.value.low, one.value.high)]
        if one.other is not None and one.difference is not None:
            row.append(f"{one.other.value:.3f}")
            difference = one.difference
            row.append(_interval(difference.value, difference.low, difference.high, sign="+"))
        cells.append(row)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        parts = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append(f"  {'  '.join(parts).rstrip()}")
    return lines


def as_json(
    found: Mapping[str, Compared],
    pairs: Sequence[Pair],
    theirs: RunFolder | None,
    judged: Mapping[Gate, tuple[bool, str]],
) -> dict[str, Any]:
    """What eval.json holds."""
    return {
        "format": FORMAT,
        "rows": len(pairs),
        "other": str(theirs.path) if theirs is not None else None,
        "scores": {
            name: {
                part: spread.model_dump()
                for part in ("value", "other", "difference")
                if (spread := getattr(one, part)) is not None
            }
            for name, one in found.items()
        },
        "gates": [
            {"score": gate.score, "least": gate.least, "passed": passed, "message": sentence}
            for gate, (passed, sentence) in judged.items()
        ],
    }


def _interval(value: float, low: float, high: float, sign: str = "") -> str:
    return f"{value:{sign}.3f}  [{low:{sign}.3f}, {high:{sign}.3f}]"
