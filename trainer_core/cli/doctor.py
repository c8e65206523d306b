"""`backprop doctor`: what on this machine would trouble a run."""

import json as json_lines
import shutil
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from trainer_core.errors import EXIT_FAILED
from trainer_core.hardware.doctor.examine import examine
from trainer_core.hardware.doctor.facts import facts
from trainer_core.hardware.doctor.finding import MARKS, Finding, Level, in_numbers
from trainer_core.hardware.doctor.surroundings import Surroundings

STYLES: dict[Level, str] = {"problem": "bold red", "warning": "yellow", "note": "", "ok": "green"}
NARROWEST, WIDEST = 40, 100


def doctor(
    json: Annotated[
        bool, typer.Option("--json", help="Findings and facts as JSON on stdout.")
    ] = False,
) -> None:
    """Check the machine: GPU, libraries, memory, disk, terminal, and what would end a run at night.

    Exit status 1 if there is a problem; warnings do not count.
    """
    place = Surroundings()
    findings = examine(place)
    if json:
        listed = [finding.model_dump() for finding in findings]
        print(json_lines.dumps({"findings": listed, "facts": facts(place)}))
    else:
        _print(findings)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(EXIT_FAILED)


def _print(findings: list[Finding]) -> None:
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))
    console = Console(markup=False, highlight=False)
    for line in report(findings, width):
        console.print(line, soft_wrap=True)


def report(findings: list[Finding], width: int) -> Iterator[Text]:
    """Lines of at most `width` cells, by area; only a command may be longer, since it is copied."""
    for area, found in groupby(findings, key=lambda finding: finding.area):
        yield Text(area.capitalize() if area != "gpu" else "GPU", "bold")
        for finding in found:
            yield from _lines(finding, width)
    yield Text()
    yield Text(in_numbers(findings).capitalize() + ".")


def _lines(finding: Finding, width: int) -> Iterator[Text]:
    margin = " " * 8
    first, *rest = textwrap.wrap(finding.text, width - len(margin), break_on_hyphens=False)
    line = Text(f"  {MARKS[finding.level]:<6}", STYLES[finding.level])
    yield Text.assemble(line, first)
    for words in [*rest, *textwrap.wrap(finding.hint, width - len(margin), break_on_hyphens=False)]:
        yield Text(margin + words)
    if finding.command:
        yield Text(f"{margin}$ {finding.command}")
