"""A run as text: one progress line, rewritten on a terminal and now and then in a log; or every
event as JSON.
"""

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol, TextIO

from trainer_core.cli.export_report import export_lines
from trainer_core.cli.multi_run_report import (
    forgetting_lines,
    merged_line,
    run_line,
    scores_line,
)
from trainer_core.errors import EXIT_FAILED, EXIT_FINISHED, EXIT_STOPPED
from trainer_core.runs.events import (
    Checkpoint,
    Eval,
    Event,
    Exported,
    Failed,
    Finished,
    Log,
    Metrics,
    Notice,
    Predicted,
    Progress,
    Samples,
    Scored,
    Stage,
    State,
    encode,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Forgetting, Merged, RunStart
from trainer_core.runs.view import RunView, memory_words
from trainer_core.text import clean, clean_json, duration, one_line, size
from trainer_core.worker.client import RunClient

# Between two lines of progress where they cannot be rewritten.
LOG_SECONDS = 10.0
TERMINAL_SECONDS = 0.2


def say(text: str) -> None:
    """A line for the person, on stderr."""
    print(f"backprop: {clean(text)}", file=sys.stderr, flush=True)


class Printer(Protocol):
    """Something that shows a job as it goes on."""

    def show(self, event: Event, view: RunView) -> None:
        """Show an event."""
        ...

    def tick(self, view: RunView) -> None:
        """Nothing happened for a while."""
        ...

    def end(self, view: RunView) -> None:
        """The job is over."""
        ...


def follow(
    folder: RunFolder,
    *,
    as_json: bool = False,
    after: int = 0,
    printer: Printer | None = None,
) -> int:
    """Show the run until it ends, with `printer` if one is given; returns its exit status.

    Events up to number `after` are taken in but not shown. Ctrl+C or SIGTERM once: stop and save;
    twice: abort. A closed terminal (SIGHUP), or an output that takes no more, only ends this: the
    run goes on.
    """
    client, view = RunClient(folder, "headless"), RunView()
    printer = printer or (JsonLines() if as_json else TextLines(folder))
    try:
        with _signals_stop(client):
            for event in client.events(timeout=0.5):
                if event is None:
                    printer.tick(view)
                    continue
                view.apply(event)
                if event.n == 0 or event.n > after:
                    printer.show(event, view)
        printer.end(view)
    except (_HungUp, OSError):
        # The reader of our output is gone (`| head`), or the terminal, or the disk is full.
        _write_no_more(sys.stdout)
        with contextlib.suppress(OSError):
            say(f"nobody reads this output any more; the run goes on in {folder.path}")
        _write_no_more(sys.stderr)
        return EXIT_FAILED
    finally:
        client.close()
    return _status(view, folder)


def _write_no_more(stream: TextIO) -> None:
    """What is left in its buffer goes nowhere, rather than into an error as Python ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _status(view: RunView, folder: RunFolder) -> int:
    if isinstance(view.outcome, Finished):
        return EXIT_FINISHED if view.outcome.outcome == "finished" else EXIT_STOPPED
    if isinstance(view.outcome, Failed):
        message = view.outcome.message.rstrip(".")
        say(clean(f"{message}. {view.outcome.hint}".strip()))
        return view.outcome.exit_status
    say(f"the worker is gone without a word; continue with: backprop train --resume {folder.path}")
    return EXIT_FAILED


class _HungUp(Exception):  # noqa: N818 - the terminal's end, no error
    """The terminal was closed."""


@contextmanager
def _signals_stop(client: RunClient) -> Iterator[None]:
    """Ctrl+C and SIGTERM become wishes to the worker, which ends the run; then we end. SIGHUP
    raises _HungUp, unless it was ignored when we began (nohup)."""
    wishes: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_pass_on_wishes, args=[client, wishes], daemon=True).start()

    def wish(number: int, _: FrameType | None) -> None:
        wishes.put(signal.Signals(number).name)  # no more: a handler may come within a print

    def hang_up(*_: object) -> None:
        raise _HungUp

    handlers: dict[signal.Signals, Any] = {signal.SIGINT: wish, signal.SIGTERM: wish}
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        handlers[signal.SIGHUP] = hang_up
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on_wishes(client: RunClient, wishes: "queue.SimpleQueue[str]") -> None:
    """The first signal stops and saves, the second aborts, all others say nothing new."""
    name = wishes.get()
    _tell("stopping and saving; once more to abort")
    client.wait_connected(30.0)
    client.send("stop", name)
    wishes.get()
    _tell("aborting, nothing more is saved")
    client.send("abort")


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it, and it is done all the same
        say(text)


class JsonLines:
    """One event a line on stdout, our log on stderr."""

    def show(self, event: Event, view: RunView) -> None:
        """Print an event."""
        sys.stdout.write(clean_json(encode(event).decode()) + "\n")
        sys.stdout.flush()
        if isinstance(event, Log | Notice):
            level = event.level if isinstance(event, Log) else "WARNING"
            print(f"{level} {one_line(event.message)}", file=sys.stderr, flush=True)

    def tick(self, view: RunView) -> None:
        """Nothing happened for a while."""

    def end(self, view: RunView) -> None:
        """The run is over."""


class AnswersAlone:
    """What a model answers, and nothing besides; warnings on stderr."""

    def show(self, event: Event, view: RunView) -> None:
        """Print an answer."""
        if isinstance(event, Predicted):
            print(clean(event.answer), flush=True)
        elif isinstance(event, Notice):
            say(notice_line(event))

    def tick(self, view: RunView) -> None:
        """Nothing happened for a while."""

    def end(self, view: RunView) -> None:
        """The job is over."""


class TextLines:
    """Stages, losses and the end, for a person or a CI log."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._terminal = sys.stdout.isatty()
        self._shown = 0.0
        self._open = False
        self._print(f"run folder: {folder.path}")

    def show(self, event: Event, view: RunView) -> None:
        """Print what an event means, if it means something to a reader."""
        if isinstance(event, Stage) and event.stage not in {"training", "evaluating"}:
            self._print(f"{event.stage}{': ' if event.detail else ''}{one_line(event.detail)}")
        elif isinstance(event, Metrics):
            due = LOG_SECONDS if not self._terminal else TERMINAL_SECONDS
            first_or_last = event.step == 1 or event.step == event.total_steps
            if first_or_last or time.monotonic() - self._shown >= due:
                self._progress(step_line(view))
        elif isinstance(event, Progress):
            if self._terminal or time.monotonic() - self._shown >= LOG_SECONDS:
                self._progress(progress_line(event))
        elif isinstance(event, Exported):
            for line in export_lines(event):
                self._print(line)
        elif isinstance(event, Eval):
            best = " (best so far)" if event.best else ""
            guessed = event.values.get("eval_mean_token_accuracy")
            tokens = f", {guessed:.1%} of tokens guessed" if guessed is not None else ""
            self._print(f"step {event.step:,}: validation loss {event.loss:.4f}{tokens}{best}")
        elif isinstance(event, Scored) and event.step:
            self._print(f"step {event.step:,}: scores of {event.rows:,} answers")
            for line in score_lines(event):
                self._print(line)
        elif isinstance(event, Checkpoint):
            self._print(f"step {event.step:,}: saved {event.path}")
        elif isinstance(event, RunStart):
            self._print(run_line(event))
        elif isinstance(event, Merged):
            self._print(merged_line(event))
        elif isinstance(event, Forgetting):
            self._print(scores_line(event))
        elif isinstance(event, Notice):
            self._print(f"warning: {notice_line(event)}")
        elif isinstance(event, Log) and event.level in {"WARNING", "ERROR", "CRITICAL"}:
            self._print(f"{event.level.lower()}: {one_line(event.message)}")
        elif isinstance(event, State):
            self._print(one_line(event.message))

    def tick(self, view: RunView) -> None:
        """Nothing happened for a while: on a terminal, show that time passes."""
        if self._terminal and view.stage in {"importing", "loading", "downloading"}:
            passed = duration(time.time() - view.stage_since)
            self._progress(f"{view.stage}… {passed}")

    def end(self, view: RunView) -> None:
        """The final summary."""
        ended = view.outcome
        if not isinstance(ended, Finished):
            self._close_line()
            return
        where = f" at step {ended.step:,} of {view.total_steps:,}" if view.total_steps else ""
        why = f" ({one_line(ended.message)})" if ended.message else ""
        self._print(f"{ended.outcome}{where} in {duration(ended.elapsed)}{why}")
        first, last = ended.summary.get("first_loss"), ended.summary.get("last_loss")
        if first is not None and last is not None:
            self._print(f"  loss            {first:.4f} → {last:.4f}")
        best, step = ended.summary.get("best_eval_loss"), ended.summary.get("best_eval_step")
        if best is not None and step is not None:
            self._print(f"  validation loss {best:.4f} at best (step {step:,.0f})")
        for line in forgetting_lines(view):
            self._print(line)
        memory = memory_words(ended)
        if memory:
            self._print(f"  memory          {memory}")
        if ended.saved:
            self._print(f"  saved           {ended.saved}")
        for command in ended.commands:
            self._print(f"  next            {clean(command)}")
        for line in score_lines(view.scored) if view.scored and not view.scored.step else []:
            self._print(line)
        for line in predicted_lines(view):
            self._print(line)
        for line in sample_lines(view.samples.get("before"), view.samples.get("after")):
            self._print(line)

    def _progress(self, line: str) -> None:
        self._shown = time.monotonic()
        line = one_line(line)
        if not self._terminal:
            self._print(line)
            return
        width = max(20, os.get_terminal_size().columns - 1)
        sys.stdout.write(f"\r\x1b[K{line[:width]}")
        sys.stdout.flush()
        self._open = True

    def _print(self, line: str) -> None:
        self._close_line()
        print(clean(line), flush=True)

    def _close_line(self) -> None:
        if self._open:
            sys.stdout.write("\n")
            self._open = False


def notice_line(event: Notice) -> str:
    """What the user should know, and what to do about it."""
    return f"{one_line(event.message).rstrip('.')}. {one_line(event.hint)}".strip()


def progress_line(event: Progress) -> str:
    """`converting: 1.2 GiB of 3.0 GiB  40%  310.0 MiB/s`, or in the unit that was counted."""
    in_bytes = event.unit == "bytes"
    done = size(event.done) if in_bytes else f"{event.done:,}"
    if event.total:
        done += f" of {size(event.total)}" if in_bytes else f"/{event.total:,}"
    line = f"{event.stage}: {done}{'' if in_bytes else f' {event.unit}'}"
    if event.total:
        line += f"  {100 * event.done / event.total:.0f}%"
    if in_bytes and event.rate:
        line += f"  {size(event.rate)}/s"
    return line


def step_line(view: RunView) -> str:
    """`step 12/200  6%  loss 2.1034  lr 1.9e-04  812 tok/s  2 min 10 s left`."""
    parts = [f"step {view.step:,}/{view.total_steps:,}"]
    parts.append(f"{100 * view.step / max(1, view.total_steps):3.0f}%")
    loss, rate = view.curve("loss").last, view.curve("learning_rate").last
    if loss is not None:
        parts.append(f"loss {loss:.4f}")
    if rate is not None:
        parts.append(f"lr {rate:.1e}")
    if view.tokens_per_second is not None:
        parts.append(f"{view.tokens_per_second:,.0f} tok/s")
    if view.seconds_left is not None:
        parts.append(f"{duration(view.seconds_left)} left")
    return "  ".join(parts)


def score_lines(scored: Scored) -> list[str]:
    """How good the answers are, each score with its 95 % interval."""
    return [
        f"  {name:<15} {found.value:.3f}  [{found.low:.3f}, {found.high:.3f}]"
        for name, found in scored.scores.items()
    ]


def predicted_lines(view: RunView) -> list[str]:
    """The answer to a lone prompt; of many the first ones, with what was expected."""
    if view.progress is not None and view.progress.total == 1:
        return [made.answer for made in view.predicted]
    lines = []
    for made in sorted(view.predicted, key=lambda made: made.row)[:3]:
        asked = made.prompt if isinstance(made.prompt, str) else made.prompt[-1]["content"]
        lines.append(f"  {one_line(asked, limit=100)}")
        if made.expected is not None:
            lines.append(f"    expected  {one_line(made.expected, limit=100)}")
        lines.append(f"    answer    {one_line(made.answer, limit=100) or '(nothing)'}")
    return ["answers:", *lines] if lines else []


def sample_lines(before: Samples | None, after: Samples | None) -> list[str]:
    """The sample prompts with their answers before and after training."""
    if after is None:
        return []
    first = {answer.prompt: answer.answer for answer in before.answers} if before else {}
    lines = ["answers:"]
    for answer in after.answers:
        lines.append(f"  {one_line(answer.prompt, limit=100)}")
        if answer.prompt in first:
            lines.append(f"    before  {one_line(first[answer.prompt], limit=100) or '(nothing)'}")
        lines.append(f"    after   {one_line(answer.answer, limit=100) or '(nothing)'}")
    return lines
