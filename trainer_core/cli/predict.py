"""`backprop predict`: what was trained, its base or an export, asked many things."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.asking_options import (
    Base,
    Batch,
    Checkpoint,
    Count,
    Data,
    MaxTokens,
    Seed,
    Source,
    Split,
    Temperature,
    TopP,
)
from trainer_core.cli.headless import follow
from trainer_core.cli.options import Json
from trainer_core.config.predict_section import BATCH, PredictRequest
from trainer_core.config.sampling import Sampling
from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.trained import run_of, trained_places
from trainer_core.worker.launching import asked_source, launch_predict


def predict(
    source: Source = "last",
    prompt: Annotated[str | None, typer.Argument(help="One prompt.")] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="A file of prompts: text, one a line; or rows with prompt or messages."),
    ] = None,
    data: Data = None,
    split: Split = None,
    count: Count = None,
    base: Base = False,
    checkpoint: Checkpoint = None,
    max_tokens: MaxTokens = 256,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    batch_size: Batch = BATCH,
    output: Annotated[
        Path | None, typer.Option(help="Where to write; the run's predictions/N if not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    json: Json = False,
) -> None:
    """Answer prompts: backprop predict RUN --split test -n 50, or predict RUN "What is a hen?"."""
    request = PredictRequest.of(
        {
            "source": source,
            "checkpoint": checkpoint,
            "base": base,
            "prompt": prompt,
            "prompts": prompts,
            "data": data,
            "split": split,
            "count": count,
            "sampling": Sampling(max_tokens, temperature, top_p, seed),
            "batch_size": batch_size,
        }
    )
    folder = launch_predict(with_base_if_wanted(request), output, force=force)
    raise typer.Exit(follow(folder, as_json=json))


def with_base_if_wanted(request: PredictRequest) -> PredictRequest:
    """The request; where nothing is trained yet, one that asks the base if the person wants that.
    Raises UserError if not."""
    source = request.source
    if request.base or _is_trained(source):
        return request
    nothing = UserError(f"{source} has trained nothing yet", hint="--base asks the base model.")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise nothing
    if not typer.confirm(f"{source} has trained nothing yet. Ask the base model instead?"):
        raise nothing
    return request.model_copy(update={"base": True})


def _is_trained(source: str) -> bool:
    path = asked_source(source, base=False)
    run = run_of(path)
    return run is None or run.path != path or bool(trained_places(RunFolder(path)))
