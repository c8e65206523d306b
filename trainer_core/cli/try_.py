"""`backprop try`: a conversation with what was trained beside its base, on the Try screen."""

from typing import Annotated

import typer

from trainer_core.cli.asking_options import Source
from trainer_core.cli.dashboard import no_dashboard_because, open_dashboard
from trainer_core.errors import UserError
from trainer_core.worker.launching import asked_source


def try_(
    source: Source = "last",
    fps: Annotated[int, typer.Option(min=1, max=10, help="Most redraws a second.")] = 10,
) -> None:
    """Talk to a run, an adapter, a model or a GGUF, beside its base: backprop try last."""
    place = asked_source(source, base=False)
    reason = no_dashboard_because()
    if reason:
        raise UserError(
            f"a conversation needs a terminal, and {reason}",
            hint='One answer alone: backprop generate RUN "prompt"',
        )
    raise typer.Exit(open_dashboard(None, fps, tried=place))
