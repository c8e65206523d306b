"""How a run ended, or what holds it up just now: one text, and what to do."""

from pathlib import Path

from rich.text import Text
from textual.widgets import Static

from trainer_core.runs.events import Failed, Finished
from trainer_core.runs.view import RunView, memory_words
from trainer_core.text import clean, duration, one_line

# Stages in which a run waits for somebody or something; their detail says for what.
_WAITING = {"paused", "waiting"}


class Ending(Static):
    """Out of sight while a run does what it should."""

    def __init__(self) -> None:
        super().__init__(id="ending", markup=False)
        self._said = ""

    def show(self, view: RunView, folder: Path, state: str, way_on: str) -> None:
        """Say how the run in `folder` ended, with `way_on` (`step 20`) if it can be resumed, or
        what holds it up."""
        if view.outcome is not None:
            text = ending_text(view.outcome, folder, way_on)
        elif state == "died":
            text = died_text(folder, way_on)
        else:
            text = holding_text(view)
        self.set_class(bool(text), "-shown")
        if text.plain != self._said:
            self._said = text.plain
            self.update(text)


def ending_text(outcome: Finished | Failed, folder: Path, way_on: str) -> Text:
    """How a run ended, and what to do now."""
    if isinstance(outcome, Failed):
        text = Text("✖ failed: ", "red").append(f"{clean(outcome.message).rstrip('.')}.")
        _offer(text, way_on)
        # The command that goes on is what the key does, and the folder is the same for all of it.
        hint = clean(outcome.hint).partition(" Go on from ")[0].partition(" Nothing was saved")[0]
        return text.append(f" {hint.replace(f'{folder}/', '')} In {one_line(str(folder))}")
    symbol = "✔" if outcome.outcome == "finished" else "■"
    text = Text(f"{symbol} {outcome.outcome} after {duration(outcome.elapsed)}", "bold")
    if outcome.message:
        text.append(f": {clean(outcome.message)}")
    memory = memory_words(outcome)
    text.append(f"  Memory: {memory}." if memory else "")
    text.append(f"  Saved: {clean(outcome.saved)}" if outcome.saved else "")
    _offer(text, way_on)
    return text


def died_text(folder: Path, way_on: str) -> Text:
    """Of a run whose processes are all gone without a word."""
    text = Text("✖ died: ", "red")
    text.append("its processes are gone without a word, as when the machine goes down.")
    _offer(text, way_on)
    return text.append(f" Its output: worker.log in {one_line(str(folder))}")


def holding_text(view: RunView) -> Text:
    """What keeps a living run from going on; empty if nothing does."""
    if view.trouble:
        return Text(f"! {one_line(view.trouble)}", "red")
    if view.stage in _WAITING and view.stage_detail:
        return Text(f"‖ {one_line(view.stage)}: {one_line(view.stage_detail)}", "yellow")
    return Text()


def _offer(text: Text, way_on: str) -> None:
    if way_on:
        text.append(f"  r goes on from {one_line(way_on)}.", "bold")
