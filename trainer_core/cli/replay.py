"""`backprop replay`: an earlier run once more, as a new one."""

from typing import Annotated

import typer

from trainer_core.cli.headless import say
from trainer_core.cli.launch import Watching, launch
from trainer_core.cli.options import Headless, Json, Output, WaitForVram, bytes_to_wait_for
from trainer_core.history.replaying import replay_of
from trainer_core.runs.registry import find_run


def replay(
    run: Annotated[str, typer.Argument(help="An id, the start of one, a path or 'last'.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "--override",
            metavar="FIELD=VALUE",
            help="Another value for this field; FIELD=auto plans it anew. Repeatable.",
        ),
    ] = None,
    output: Output = None,
    wait_for_vram: WaitForVram = None,
    headless: Headless = False,
    json: Json = False,
) -> None:
    """Start a new run with the data and settings of an earlier one.

    Planned values are kept as they were, but for those that an override changes.
    """
    entry = find_run(run)
    if overrides:
        say("looking at what the overrides change")
    loaded, again = replay_of(entry, overrides or [])
    say(f"a replay of {again.run}, with {', '.join(overrides or []) or 'the same settings'}")
    if again.anew:
        say(f"planned anew: {', '.join(again.anew)}")
    watching, room = Watching(headless=headless, json=json), bytes_to_wait_for(wait_for_vram)
    raise typer.Exit(launch(loaded, output, watching, wait_for=room, replay=again))
