"""What the Try screen says of itself: its run, its sides, its settings, the row that is asked."""

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from trainer_core.config.sampling import Sampling
from trainer_core.data.questions import RowPrompt
from trainer_core.errors import UserError
from trainer_core.runs.transcripts import transcript_of
from trainer_core.text import clean, one_line, one_of
from tui.screens.choose import Choice
from tui.try_found import Answerer, Found
from tui.try_side import Side

SETTINGS: dict[str, type] = {"temperature": float, "top_p": float, "max_tokens": int, "seed": int}
NOBODY = "nobody"
# Of an answer that was expected: enough to compare with, beside the answers.
MOST_EXPECTED = 400


def head_text(found: Found, sampling: Sampling, width: int) -> Text:
    """Of what, how tokens are chosen, where the transcript is; the name gives way."""
    path = transcript_of(found.run)
    place = one_line(str(path.relative_to(found.run.path) if found.run is not None else path))
    words = sampling_words(sampling)
    room = max(8, width - len(words) - len(place) - 4)
    text = Text(one_line(found.name, limit=room), "bold", no_wrap=True, overflow="ellipsis")
    return text.append(f"  {words}  ", "not bold").append(place, "not bold dim")


def side_text(side: Side, *, active: bool) -> Text:
    """Who answers on a side, and how that stands. The side that keys are for is marked."""
    text = Text(no_wrap=True, overflow="ellipsis")
    name = side.model.name if side.model is not None else NOBODY
    text.append(f"[{name}]" if active else f" {name} ", "bold")
    if side.problem:
        return text.append(f" ! {one_line(side.problem)}", "yellow")
    if side.is_loading:
        return text.append(f" {side.stage}… {one_line(side.stage_detail)}")
    return text.append(f" {side.stage_detail or 'not loaded yet'}", "dim")


def row_text(row: RowPrompt | None) -> Text:
    """Which row is asked, and what is expected."""
    if row is None:
        return Text()
    before = len(row.turns) - 1
    text = Text(f"{row.split} {row.index + 1:,} of {row.rows:,}", "bold")
    text.append(" (nothing is held out: it was trained on this)" * (row.split == "train"))
    if before:
        text.append(f", after {before} turn{'s' if before != 1 else ''}")
    text.append("  expected  ").append(one_line(row.expected, limit=MOST_EXPECTED) or "(nothing)")
    return text


def sampling_words(sampling: Sampling) -> str:
    """`temperature 0.7, seed 3, 256 tokens`: what has no effect is left out."""
    words = f"temperature {sampling.temperature:g}, "
    if sampling.temperature > 0:
        words += f"top_p {sampling.top_p:g}, " if sampling.top_p < 1 else ""
        words += f"seed {sampling.seed}, "
    return f"{words}{sampling.max_tokens:,} token{'s' if sampling.max_tokens != 1 else ''}"


def written(sampling: Sampling) -> str:
    """The settings as a person can change them."""
    return " ".join(f"{name}={asdict(sampling)[name]}" for name in SETTINGS)


def changed(sampling: Sampling, text: str) -> Sampling:
    """The settings, those that `text` names as it says: name=value, the name or its beginning.
    Raises UserError."""
    pairs = re.findall(r"([A-Za-z_]+)\s*[=: ]\s*([^\s,]+)", text)
    if not pairs and text.strip():
        raise UserError("settings are written as name=value", hint=f"Now: {written(sampling)}.")
    values: dict[str, Any] = {}
    for word, value in pairs:
        found = [name for name in SETTINGS if name.startswith(word.lower())]
        if len(found) != 1:
            there = one_of([*SETTINGS])
            raise UserError(f"no setting is called {word}", hint=f"There are {there}.")
        try:
            values[found[0]] = SETTINGS[found[0]](value)
        except ValueError:
            raise UserError(f"{found[0]} {value} is no number of its kind") from None
    return replace(sampling, **values)


def model_choices(models: Sequence[Answerer]) -> list[Choice]:
    """The models as lines of a list, and nobody."""
    lines = [(str(n), f"{one.name:<16} {one.about}") for n, one in enumerate(models)]
    lines.append((NOBODY, f"{NOBODY:<16} the other side alone"))
    return [Choice(key, Text(line, no_wrap=True)) for key, line in lines]


def nothing_text(place: Path | None, problem: str) -> str:
    """What to do where there is nobody to talk to."""
    if problem:
        return clean(problem)
    if place is None:
        return "No runs yet. Start one: backprop demo; or talk to a model: backprop try FOLDER"
    return "Looking…"
