"""A finding: what was seen, how bad it is, and what to do about it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from trainer_core.text import one_line

Level = Literal["problem", "warning", "note", "ok"]
# A word for each level, worst first: it is read without colour.
MARKS: dict[Level, str] = {"problem": "FAIL", "warning": "warn", "note": "note", "ok": "ok"}

# Names of libraries, variables and paths come from outside and go to a terminal.
Words = Annotated[str, AfterValidator(one_line)]


class Finding(BaseModel):
    """One thing that was looked at.

    `area` is a short word, `text` one sentence. Whatever is not `ok` has a `hint`, which says what
    to do, and a `command` where one line to copy does it.
    """

    model_config = ConfigDict(frozen=True)

    area: str
    level: Level
    text: Words
    hint: Words = ""
    command: Words = ""


def ok(area: str, text: str) -> Finding:
    """As it should be."""
    return Finding(area=area, level="ok", text=text)


def note(area: str, text: str, hint: str, command: str = "") -> Finding:
    """Good to know; nothing is worse for it."""
    return Finding(area=area, level="note", text=text, hint=hint, command=command)


def warning(area: str, text: str, hint: str, command: str = "") -> Finding:
    """A run may suffer from it."""
    return Finding(area=area, level="warning", text=text, hint=hint, command=command)


def problem(area: str, text: str, hint: str, command: str = "") -> Finding:
    """Runs fail or are lost because of it."""
    return Finding(area=area, level="problem", text=text, hint=hint, command=command)


def worst_first(findings: list[Finding]) -> list[Finding]:
    """By level; the order of the areas stays."""
    ranks = list(MARKS)
    return sorted(findings, key=lambda finding: ranks.index(finding.level))


def in_numbers(findings: list[Finding]) -> str:
    """`1 problem, 2 warnings, 9 ok`; a level that nothing has is left out."""
    counts = {level: sum(finding.level == level for finding in findings) for level in MARKS}
    words = [
        f"{count} {level}{'s' if count > 1 and level != 'ok' else ''}"
        for level, count in counts.items()
        if count
    ]
    return ", ".join(words) or "nothing found"
