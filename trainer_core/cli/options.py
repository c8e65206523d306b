"""Options that several commands share."""

from pathlib import Path
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
Preset = Annotated[
    list[str] | None,
    typer.Option(help="Start from a preset or recipe: `backprop config presets`. Repeatable."),
]
Model = Annotated[str | None, typer.Option(help="Base model: a folder, or owner/name.")]
BatchSize = Annotated[str | None, typer.Option(help="Examples in a micro-batch, or auto.")]
Accumulation = Annotated[str | None, typer.Option(help="Micro-batches in one step, or auto.")]
Rate = Annotated[str | None, typer.Option(help="Learning rate.")]
MaxLength = Annotated[
    str | None, typer.Option("--max-length", "--max-seq-length", help="Longest example.")
]
LoraRank = Annotated[str | None, typer.Option(help="Rank of the adapter.")]
NoUnsloth = Annotated[bool, typer.Option("--no-unsloth", help="Train with transformers and PEFT.")]
Seed = Annotated[str | None, typer.Option(help="Seed of everything random.")]
RunName = Annotated[str | None, typer.Option(help="Name of the run.")]
Output = Annotated[
    Path | None, typer.Option(help="Run folder; ./runs/<date>-<time>-<name> if not given.")
]
Resume = Annotated[
    str | None,
    typer.Option("--resume", metavar="RUN", help="Go on with a run: id, path or 'last'."),
]
Warm = Annotated[
    bool,
    typer.Option(
        "--warm",
        help="With --resume: from the last checkpoint on, with other settings (--set), data or "
        "base than before.",
    ),
]
Config = Annotated[Path | None, typer.Argument(help="A YAML config.", show_default=False)]


def listed(words: str | None) -> str | None:
    """`a,b` as a YAML list; names only, so that quoting is no matter."""
    return None if words is None else f"[{words}]"


def sets(overrides: list[str] | None, field: str) -> bool:
    """Whether --set names a field that begins like this."""
    return any(override.startswith(field) for override in overrides or [])
