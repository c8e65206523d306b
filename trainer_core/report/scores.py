"""The scores of a run's predictions, read from their folders."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.runs.folder import RunFolder

Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Scored:
    """One prediction: where it is, what was asked, and a row for each score: its name, its value
    with the 95 % interval; beside another model's, that one's value and the difference."""

    place: str
    words: str
    rows: list[Row]

    @property
    def rows_with_other(self) -> bool:
        """Whether another model was asked the same."""
        return any(other for _, _, other, _ in self.rows)


def scores_of(folder: RunFolder) -> list[Scored]:
    """Of each prediction with scores, oldest first; what cannot be read is left out."""
    return list(_found(folder))


def _found(folder: RunFolder) -> Iterator[Scored]:
    numbered = [path for path in folder.predictions.glob("*") if path.name.isdigit()]
    for path in sorted(numbered, key=lambda one: int(one.name)):
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            summary = json.loads((path / "summary.json").read_bytes())
            rows = _compared(path) or _alone(summary)
            if rows:
                yield Scored(f"predictions/{path.name}", _words(summary), rows)


def _compared(path: Path) -> list[Row]:
    if not (path / "eval.json").is_file():
        return []
    found = json.loads((path / "eval.json").read_bytes())["scores"]
    return [
        (
            name,
            _spread(one["value"]),
            f"{one['other']['value']:.3f}" if "other" in one else "",
            _spread(one["difference"], sign="+") if "difference" in one else "",
        )
        for name, one in found.items()
    ]


def _alone(summary: dict[str, Any]) -> list[Row]:
    return [(name, _spread(one), "", "") for name, one in summary.get("scores", {}).items()]


def _words(summary: dict[str, Any]) -> str:
    who = "the base" if summary["base"] else Path(summary["source"]).name
    checkpoint = f" ({summary['checkpoint']})" if summary.get("checkpoint") else ""
    asked = summary.get("prompts") or summary.get("data") or summary.get("split") or "held-out rows"
    return f"{who}{checkpoint}, {summary['rows']:,} rows of {Path(asked).name}"


def _spread(found: dict[str, float], sign: str = "") -> str:
    value, low, high = (f"{found[part]:{sign}.3f}" for part in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
