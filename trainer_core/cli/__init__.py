"""The `backprop` command: one file a command, this file puts them together."""

import io
import os
import sys
from typing import TYPE_CHECKING, Annotated

from trainer_core import __version__
from trainer_core.errors import EXIT_STOPPED, BackpropError
from trainer_core.text import clean

if TYPE_CHECKING:
    import typer


def main() -> None:
    """The entry point. Every error a user can meet ends as one sentence and an exit status."""
    # What we start imports nothing from the folder we stand in, which may be anybody's.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    _open_closed_streams()
    _take_any_text()
    try:
        if len(sys.argv) == 1 and sys.stdout.isatty():
            # The commonest call, and the one that should feel instant: no option parser needed.
            from trainer_core.cli.dashboard import open_dashboard

            sys.exit(open_dashboard(None))
        _application()(prog_name="backprop")
    except BackpropError as error:
        print(f"backprop: {clean(str(error))}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(EXIT_STOPPED)


def _open_closed_streams() -> None:
    """Where a stream was closed when we began, /dev/null takes its place and its number, which the
    next file to be opened would have."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        name = ("stdin", "stdout", "stderr")[number]
        setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
    os.close(number)


def _take_any_text() -> None:
    """What the terminal's encoding does not have is a question mark, and no end of the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _application() -> "typer.Typer":
    import typer

    from trainer_core.cli import (
        attach,
        data,
        demo,
        doctor,
        eval,
        export,
        generate,
        multi_run,
        plan,
        predict,
        replay,
        report,
        smoke,
        stop,
        track,
        train,
        try_,
        ui,
    )
    from trainer_core.cli.config import config
    from trainer_core.cli.dashboard import open_dashboard
    from trainer_core.cli.runs import runs

    application = typer.Typer(
        name="backprop",
        help="Fine-tune language models from a terminal. Without a command: the dashboard.",
        no_args_is_help=False,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @application.callback()
    def root(
        context: typer.Context,
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and exit.")
        ] = False,
        fps: Annotated[
            int, typer.Option(min=1, max=10, help="Most redraws a second; fewer for a slow line.")
        ] = 10,
    ) -> None:
        if version:
            print(f"backprop {__version__}")
        elif context.invoked_subcommand is None:
            raise typer.Exit(open_dashboard(None, fps))

    application.add_typer(config, name="config")
    application.add_typer(runs, name="runs")
    commands = (
        demo,
        train,
        multi_run,
        plan,
        smoke,
        data,
        export,
        predict,
        eval,
        generate,
        replay,
        report,
        try_,
        attach,
        stop,
        track,
        ui,
        doctor,
    )
    for module in commands:
        name = module.__name__.rpartition(".")[2]
        application.command(name.strip("_").replace("_", "-"))(getattr(module, name))
    return application
