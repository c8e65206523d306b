"""One line that says how far a job is, for a terminal or a notebook."""

import sys
import time
from importlib.util import find_spec
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainer_core.runs.events import Event, Failed, Finished, Metrics, Notice, Stage
from trainer_core.runs.view import RunView
from trainer_core.text import duration, one_line, size

BAR = 24
REDRAWS = 5
# Between two lines where they cannot be rewritten.
LINE_SECONDS = 10.0


class ShownProgress:
    """Shows a job while a `with` block runs; `see` takes its events.

    `wish` is True (always), False (never), or None: where stdout is a terminal, or in a notebook.
    Where a line cannot be rewritten, one is printed now and then. What the caller prints meanwhile
    stays above the line.
    """

    def __init__(self, wish: bool | None, console: Console | None = None) -> None:
        console = console or Console()
        rewrites = console.is_terminal or (console.is_jupyter and _has_widgets())
        shown = wish if wish is not None else console.is_terminal or console.is_jupyter
        self._view = RunView()
        self._console = console if shown else None
        self._live: Live | None = None
        if shown and rewrites:
            self._live = Live(
                console=console, get_renderable=self._line, refresh_per_second=REDRAWS
            )
        self._printed = 0.0

    def __enter__(self) -> "ShownProgress":
        if self._live is not None:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def see(self, event: Event) -> None:
        """Take an event in."""
        if self._console is None:
            return
        self._view.apply(event)
        if isinstance(event, Notice):
            message = one_line(event.message).rstrip(".")
            self._say(f"warning: {message}. {one_line(event.hint)}".strip())
        elif self._live is None:
            self._print_if_due(event)

    def _print_if_due(self, event: Event) -> None:
        now, view = time.monotonic(), self._view
        news = isinstance(event, Stage) and event.stage not in ("training", "evaluating")
        ends = isinstance(event, Finished | Failed)
        if isinstance(event, Metrics):
            edge = event.step in (1, event.total_steps)
            news = edge or now - self._printed >= LINE_SECONDS
        if news or ends:
            self._printed = now
            words = [stage_words(view), count_words(view), detail_words(view)]
            self._say("  ".join(word for word in words if word))

    def _say(self, text: str) -> None:
        if self._live is not None:
            self._live.console.print(Text(text))
        else:  # through whatever the caller has made of stdout
            print(text, file=sys.stdout, flush=True)

    def _line(self) -> Table:
        view = self._view
        row = Table.grid(padding=(0, 1))
        for place in range(4):
            row.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if place == 3 else None)
        done, total = _amounts(view)
        bar = ProgressBar(total=total, completed=done, width=BAR, pulse=not total)
        row.add_row(
            Text(stage_words(view)),
            Text("") if view.outcome is not None else bar,
            Text(count_words(view)),
            Text(detail_words(view)),
        )
        return row


def stage_words(view: RunView) -> str:
    """`training, run 2 of 5`; of a baseline `training, joint run 1 of 1`."""
    if view.outcome is not None:
        ended = view.outcome
        return "failed" if isinstance(ended, Failed) else ended.outcome
    run = view.run
    if run is None:
        return view.stage or "starting"
    arm = f"{run.arm} " if run.arm else ""
    return f"{view.stage}, {arm}run {run.run} of {run.of}"


def count_words(view: RunView) -> str:
    """`120/200`, of steps or of what a stage counts."""
    progress = view.progress
    if progress is not None and view.outcome is None:
        in_bytes = progress.unit == "bytes"
        done = size(progress.done) if in_bytes else f"{progress.done:,}"
        whole = progress.total
        of = "" if not whole else f"/{size(whole) if in_bytes else f'{whole:,}'}"
        return f"{done}{of}{'' if in_bytes else f' {progress.unit}'}".rstrip()
    return f"{view.step:,}/{view.total_steps:,}" if view.step else ""


def detail_words(view: RunView) -> str:
    """`loss 0.4321  812 tok/s  2 min 10 s left`."""
    loss, ended = view.curve("loss").last, view.outcome
    parts = [f"loss {loss:.4f}"] if loss is not None else []
    if isinstance(ended, Failed):
        return one_line(ended.message)
    if isinstance(ended, Finished):
        return "  ".join([*parts, f"in {duration(ended.elapsed)}"])
    if loss is None:
        return one_line(view.stage_detail)
    if view.tokens_per_second is not None:
        parts.append(f"{view.tokens_per_second:,.0f} tok/s")
    if view.seconds_left is not None:
        parts.append(f"{duration(view.seconds_left)} left")
    return "  ".join(parts)


def _amounts(view: RunView) -> tuple[float, float | None]:
    progress = view.progress
    if progress is not None:
        return progress.done, progress.total
    counted = view.stage in ("training", "evaluating", "paused", "merging", "scoring", "saving")
    return view.step, view.total_steps if counted and view.total_steps else None


def _has_widgets() -> bool:
    """Without ipywidgets, a notebook cannot rewrite what stands there."""
    return find_spec("ipywidgets") is not None
