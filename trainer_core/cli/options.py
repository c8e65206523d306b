"""Options that several commands share."""

from typing import Annotated

import typer

Headless = Annotated[
    bool, typer.Option("--headless", help="Lines of text instead of the dashboard.")
]
Json = Annotated[
    bool, typer.Option("--json", help="One event a line on stdout; the log on stderr.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Any field: training.seed=1. Repeatable."),
]
