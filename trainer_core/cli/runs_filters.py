"""Which runs are meant: the filters that list, export and rm share."""

from typing import Annotated

import typer

from trainer_core.errors import UserError
from trainer_core.history.choosing import STATES, Wanted, moment_of, states_of

State = Annotated[
    list[str] | None,
    typer.Option(help=f"Only those in this state: {', '.join(STATES)}. Repeatable."),
]
ModelText = Annotated[
    str | None, typer.Option("--model", help="Only those with this in the base model.")
]
DataText = Annotated[str | None, typer.Option("--data", help="Only those with this in the data.")]
NameText = Annotated[str | None, typer.Option("--name", help="Only those with this in the id.")]
Since = Annotated[
    str | None, typer.Option(metavar="WHEN", help="Only those begun since: 12h, 7d, 2026-11-01.")
]


def wanted_runs(
    state: list[str] | None,
    model: str | None,
    data: str | None,
    name: str | None,
    since: str | None,
) -> Wanted:
    """What a run must be, from the options as they are typed. Raises UserError, also for a blank
    one, which would let every run through."""
    given = {"--model": model, "--data": data, "--name": name}
    given |= {"--state": ",".join(state) if state is not None else None}
    for option, text in given.items():
        if text is not None and not text.strip(" ,"):
            raise UserError(f"{option} is blank", hint="Perhaps a variable is not set.")
    begun = moment_of(since) if since is not None else 0.0
    return Wanted(states_of(state or []), model or "", data or "", name or "", begun)
