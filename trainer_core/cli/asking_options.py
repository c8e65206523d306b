"""Options of the commands that ask a model."""

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    str,
    typer.Argument(
        help="A run (id, path, last), the folder of an adapter or a model, or a GGUF file."
    ),
]
Checkpoint = Annotated[
    str | None, typer.Option(help="best, last, step-N or run-NN; the best if not given.")
]
Base = Annotated[bool, typer.Option("--base", help="Ask the base model instead.")]
Data = Annotated[Path | None, typer.Option(help="Rows to answer instead of the run's own data.")]
Split = Annotated[
    str | None, typer.Option(help="Of the run's data: test (if it has one), validation, train.")
]
Count = Annotated[
    int | None,
    typer.Option("--count", "-n", min=1, help="So many rows, spread evenly; all if not given."),
]
MaxTokens = Annotated[int, typer.Option(help="Tokens of an answer, at most.")]
Temperature = Annotated[float, typer.Option(help="0: always the likeliest token.")]
TopP = Annotated[float, typer.Option(help="Draw from the likeliest with this share.")]
Seed = Annotated[int, typer.Option(help="Of what is drawn.")]
Batch = Annotated[int, typer.Option(help="Prompts at a time.")]
