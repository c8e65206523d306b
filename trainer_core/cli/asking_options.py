"""Options of the commands that ask a model."""

from pathlib import Path
from typing import Annotated

import typer

from trainer_core.config.data_section import SPLIT_WORDS, SPLITS
from trainer_core.errors import UserError
from trainer_core.text import one_of


def _split_of(word: str | None) -> str | None:
    """The split that a person calls so. Raises UserError."""
    if word is None:
        return None
    if word.lower() not in SPLIT_WORDS:
        raise UserError(f"no split is called {word}", hint=f"There are {one_of([*SPLITS])}.")
    return SPLIT_WORDS[word.lower()]


Source = Annotated[
    str,
    typer.Argument(
        help="A run (id, path, last), the folder of an adapter, a model or ONNX, or a GGUF file."
    ),
]
Checkpoint = Annotated[
    str | None, typer.Option(help="best, last, step-N or run-NN; the best if not given.")
]
Base = Annotated[bool, typer.Option("--base", help="Ask the base model instead.")]
Data = Annotated[Path | None, typer.Option(help="Rows to answer instead of the run's own data.")]
Split = Annotated[
    str | None,
    typer.Option(
        callback=_split_of, help="Of the run's data: test (if it has one), validation, train."
    ),
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
