"""`backprop demo`: a real run on the tiny model and data that ship with the project."""

from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.launch import Watching, launch
from trainer_core.cli.options import Headless, Json
from trainer_core.config.load import load_config
from trainer_core.config.shipped import shipped


def demo(
    output: Annotated[
        Path | None, typer.Option(help="Run folder; ./runs/<date>-<time>-demo if not given.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Any field. Repeatable."),
    ] = None,
    headless: Headless = False,
    json: Json = False,
) -> None:
    """Train a tiny model, offline, in about a minute, and see its answers change."""
    loaded = load_config(shipped("configs") / "demo" / "demo.yaml", overrides or [])
    raise typer.Exit(launch(loaded, output, Watching(headless=headless, json=json)))
