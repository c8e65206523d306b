"""Asking whether a run that ended shall go on, and letting it: for every screen that offers it."""

from collections.abc import Callable

from textual.screen import Screen

from trainer_core.errors import BackpropError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.going_on import can_resume, saved
from trainer_core.runs.registry import find_run
from trainer_core.text import clean, one_line
from trainer_core.worker.launching import resume_run
from tui.screens.dialog import Dialog
from tui.threads import tell

BEGINNING = "the beginning"


def way_on(folder: RunFolder) -> str:
    """From where a run would go on, in words; empty if it cannot."""
    return (saved(folder) or BEGINNING) if can_resume(folder) else ""


def ask_to_resume(screen: "Screen[None]", folder: RunFolder, then: Callable[[], None]) -> None:
    """Ask, then resume the run in `folder`, as `backprop train --resume` does; `then` when its
    worker is there."""
    place = way_on(folder)
    if not place:
        screen.notify("This run cannot be resumed", severity="warning")
        return

    def resume() -> None:
        try:
            resume_run(find_run(str(folder.path)))
        except (BackpropError, OSError) as error:
            tell(screen, _say, screen, str(error))
        else:
            tell(screen, then)

    def answered(answer: str | None) -> None:
        if answer == "resume":
            screen.notify("Starting its worker…", timeout=3)
            screen.run_worker(resume, thread=True, exclusive=True, group="resume")

    answers = {"leave": "Leave it as it is", "resume": f"Go on from {place}"}
    question = f"Go on with {one_line(folder.path.name)}, as it was planned?"
    screen.app.push_screen(Dialog(question, answers), answered)


def _say(screen: "Screen[None]", words: str) -> None:
    text = clean(words)
    screen.notify(text[:1].upper() + text[1:], severity="error", timeout=10, markup=False)
