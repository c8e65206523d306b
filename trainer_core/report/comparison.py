"""Runs side by side as one HTML file: their curves in common pictures, and how they compare."""

from collections.abc import Sequence
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.markdown import shown
from trainer_core.report.html import page_of
from trainer_core.report.plots import draw_together
from trainer_core.runs.curves import score_curve
from trainer_core.runs.folder import RunFolder
from trainer_core.scoring.answers import SCORES
from trainer_core.text import clean

_CURVES = {
    "loss": "loss, nats a trained token",
    "eval_loss": "validation loss",
    "eval_accuracy": "validation tokens guessed",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "tokens_per_second": "tokens a second",
    **{score_curve(name): f"{name} of the answers while training" for name in SCORES},
}


def write_comparison(
    path: Path, runs: Sequence[tuple[str, RunFolder]], comparison: Sequence[str]
) -> None:
    """Write the page of some runs, by their names, with the lines of their comparison. Raises
    UserError if it cannot be written."""
    pictures = {
        name: picture
        for name, label in _CURVES.items()
        if (picture := draw_together(runs, name, label)) is not None
    }
    title = " beside ".join(name for name, _ in runs)
    fence = "~~~~~~"  # nothing of ours has as many
    lines = [clean(line).replace(fence, "~") for line in comparison]
    parts = [f"# {shown(title)}", *(f"![{_CURVES[name]}]({name})" for name in pictures)]
    text = "\n\n".join([*parts, "\n".join([fence, *lines, fence])])
    try:
        write_atomically(path, page_of(text, title, pictures).encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
