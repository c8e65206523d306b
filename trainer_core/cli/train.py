"""`backprop train`: start a run from a config, from flags, or from both; or resume one."""

from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.launch import Watching, launch, resume
from trainer_core.cli.options import Headless, Json
from trainer_core.config.load import load_config
from trainer_core.errors import UserError


def train(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML config.", show_default=False)
    ] = None,
    data: Annotated[str | None, typer.Option(help="JSONL file to train on.")] = None,
    model: Annotated[str | None, typer.Option(help="Base model: a folder, or owner/name.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    samples: Annotated[int | None, typer.Option(help="Use at most this many rows.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a micro-batch.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    lora_r: Annotated[int | None, typer.Option(help="Rank of the adapter.")] = None,
    no_unsloth: Annotated[
        bool, typer.Option("--no-unsloth", help="Train with transformers and PEFT.")
    ] = False,
    run_name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="FIELD=VALUE", help="Any field: training.seed=1. Repeatable."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Run folder; ./runs/<date>-<time>-<name> if not given.")
    ] = None,
    resume_run: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a run: id, path or 'last'."),
    ] = None,
    headless: Headless = False,
    json: Json = False,
) -> None:
    """Train: backprop train CONFIG.yaml, or backprop train --data FILE --model NAME --steps N."""
    flags = {
        "data.train": data,
        "model.base": model,
        "training.steps": steps,
        "data.limit": samples,
        "training.batch_size": batch_size,
        "training.learning_rate": lr,
        "lora.rank": lora_r,
        "model.backend": "transformers" if no_unsloth else None,
        "run.name": run_name,
        "logging.level": log_level,
    }
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    given += overrides or []
    watching = Watching(headless=headless, json=json)
    if resume_run is not None:
        if config is not None or output is not None or given:
            raise UserError(
                "a resumed run keeps its own config and folder",
                hint="Give --resume alone, or start a new run without it.",
            )
        raise typer.Exit(resume(resume_run, watching))
    if config is None and (data is None or model is None):
        raise UserError(
            "nothing to train: name a config, or --data and --model",
            hint="For a first look: backprop demo",
        )
    raise typer.Exit(launch(load_config(config, given), output, watching))
