"""How far an export is: a line for each stage, and the bar of the one that goes on."""

import time

from rich.text import Text
from textual.widgets import Static

from trainer_core.runs.events import Progress
from trainer_core.text import duration, one_line, size
from tui.export_view import ExportView, StageSeen

BAR = 24
STAGE = 12
# So many stages, and warnings, where there is room for a few lines.
FEW = 3


class ExportProgress(Static):
    """Repaints only when what it says has changed."""

    def __init__(self) -> None:
        super().__init__(id="progress", markup=False)
        self._said = ""

    def show(self, view: ExportView) -> None:
        """Paint where an export stands."""
        few = self.screen.has_class("-short")
        text = progress_text(view, self.size.width, FEW if few else 12, time.time())
        if text.plain != self._said:
            self._said = text.plain
            self.update(text)
            self.display = bool(text)


def progress_text(view: ExportView, width: int, most: int, now: float) -> Text:
    """The last `most` stages, the bar, and the warnings; of an export that has ended the stages are
    left out where there is little room."""
    stages = view.stages[-most:] if view.outcome is None or most > FEW else []
    lines = [_stage_line(one, width, now) for one in stages]
    stage = view.stage
    if stage is not None and stage.progress is not None:
        lines.append(bar_line(stage.progress, now - stage.since, width))
    if not view.stages and view.outcome is None:
        lines.append(Text("waiting for the worker…"))
    for warning in view.warnings[-most:]:
        words = f"{one_line(warning.message).rstrip('.')}. {one_line(warning.hint)}"
        lines.append(Text(f"! {words.strip()}", "yellow"))
    return Text("\n").join(lines)


def bar_line(progress: Progress, seconds: float, width: int) -> Text:
    """`████░░░░  48%  1.9 GiB of 3.9 GiB, 120.0 MiB a second, 17 s left`."""
    total, done, unit = progress.total or 0, progress.done, progress.unit
    rate = progress.rate or (done / seconds if seconds > 0 else 0.0)
    words = _amount(done, unit) + (f" of {_amount(total, unit)}" if total else "")
    words += "" if unit == "bytes" else f" {one_line(unit, limit=20)}"
    words += f", {_rate(rate, unit)} a second" if rate else ""
    words += f", {duration((total - done) / rate)} left" if rate and total > done else ""
    line = Text("  ", no_wrap=True, overflow="ellipsis")
    if total:
        share = min(1.0, max(0.0, done / total))
        length = max(6, min(BAR, width - len(words) - 10))
        filled = round(share * length)
        line.append("█" * filled, "green").append("░" * (length - filled), "dim")
        line.append(f" {share:4.0%}  ", "bold")
    return line.append(words)


def _stage_line(one: StageSeen, width: int, now: float) -> Text:
    line = Text("▶ " if one.until is None else "✔ ", no_wrap=True, overflow="ellipsis")
    line.append(f"{one_line(one.stage, limit=20):<{STAGE}}", "bold" if one.until is None else "")
    line.append(f" {one_line(one.detail, limit=200)}")
    seconds = duration((one.until or now) - one.since)
    room = max(0, width - len(seconds) - 2)
    line.truncate(room, overflow="ellipsis")
    line.append(" " * max(0, room - line.cell_len))
    return line.append(f" {seconds}", "dim")


def _amount(count: int, unit: str) -> str:
    return size(count) if unit == "bytes" else f"{count:,}"


def _rate(rate: float, unit: str) -> str:
    return size(rate) if unit == "bytes" else f"{rate:,.1f}"
