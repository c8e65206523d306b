"""A comparison of answers, as a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer_core.cli.table import table
from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.compare import PERPLEXITY, Compared, Gate, leaves_open
from trainer_core.scoring.perplexity import Known, compare_perplexity, known_of, perplexity

FORMAT = 1


@dataclass(frozen=True)
class Pair:
    """A prompt's answer, the other model's to the same prompt, and the one that was expected."""

    expected: str
    answer: str
    other: str = ""
    # How well each model knows the row's trained tokens, where that was measured.
    known: Known | None = None
    other_known: Known | None = None


def answered_pairs(ours: RunFolder, theirs: RunFolder | None) -> list[Pair]:
    """What both have answered and is expected. The others' rows count the lines of ours. Raises
    UserError where nothing is."""
    lines = [json.loads(line) for line, _ in read_lines(ours.predictions_file)]
    pairs = [
        Pair(line["expected"], line["answer"], known=known_of(line))
        for line in lines
        if _is_expected(line)
    ]
    if theirs is not None:
        others = [json.loads(line) for line, _ in read_lines(theirs.predictions_file)]
        pairs = [
            Pair(line["expected"], line["answer"], other["answer"], known_of(line), known_of(other))
            for other in others
            if _is_expected(line := lines[other["row"]])
        ]
    if not pairs:
        raise UserError(
            "of no prompt it is known what was expected, so nothing can be scored",
            hint="Name rows with answers: --split, --data, or prompts with `expected`.",
        )
    return pairs


def compared_perplexity(pairs: Sequence[Pair], *, alone: bool) -> dict[str, Compared]:
    """Under its name, of the rows where it was measured of both; nothing where of none."""
    both = [
        (pair.known, pair.other_known or pair.known)
        for pair in pairs
        if pair.known is not None and (alone or pair.other_known is not None)
    ]
    if not both:
        return {}
    ours, theirs = [known for known, _ in both], [other for _, other in both]
    return {PERPLEXITY: Compared(perplexity(ours)) if alone else compare_perplexity(ours, theirs)}


def _is_expected(line: Mapping[str, Any]) -> bool:
    return isinstance(line.get("expected"), str)


def lines_of(found: Mapping[str, Compared], rows: int, vs: str) -> list[str]:
    """Each score with its 95 % interval; beside another's, and their difference. Then those of
    which the rows are too few to tell who is better."""
    alone = all(one.other is None for one in found.values())
    cells = [["score", "value"] if alone else ["score", "value", vs, "difference"]]
    for name, one in found.items():
        beside = [] if alone else ["not comparable", ""]
        if one.other is not None and one.difference is not None:
            beside = [f"{one.other.value:.3f}", _interval(one.difference, sign="+")]
        cells.append([name, _interval(one.value), *beside])
    lines = [f"{rows:,} rows, 95 % intervals", *table(cells, indent="  ")]
    differences = {name: one.difference for name, one in found.items() if one.difference}
    even = [name for name, one in differences.items() if leaves_open(one, 0.0, rows)]
    if even:
        lines.append(f"too few rows to tell which is better: {', '.join(even)}")
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
            {"score": gate.score, "limit": gate.limit, "passed": passed, "message": sentence}
            for gate, (passed, sentence) in judged.items()
        ],
    }


def _interval(spread: Spread, sign: str = "") -> str:
    return f"{spread.value:{sign}.3f}  [{spread.low:{sign}.3f}, {spread.high:{sign}.3f}]"
