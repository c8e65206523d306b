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
    preset: Annotated[
        list[str] | None,
        typer.Option(help="Start from a preset or recipe: `backprop config presets`. Repeatable."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Rows to train on.")] = None,
    model: Annotated[str | None, typer.Option(help="Base model: a folder, or owner/name.")] = None,
    steps: Annotated[str | None, typer.Option(help="Optimizer steps.")] = None,
    epochs: Annotated[str | None, typer.Option(help="Passes over the data.")] = None,
    samples: Annotated[str | None, typer.Option(help="Use at most this many rows.")] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Examples in a micro-batch, or auto.")
    ] = None,
    gradient_accumulation: Annotated[
        str | None, typer.Option(help="Micro-batches in one step, or auto.")
    ] = None,
    lr: Annotated[str | None, typer.Option(help="Learning rate.")] = None,
    optim: Annotated[str | None, typer.Option(help="Optimizer, or auto.")] = None,
    max_length: Annotated[
        str | None, typer.Option("--max-length", "--max-seq-length", help="Longest example.")
    ] = None,
    packing: Annotated[bool, typer.Option("--packing", help="Pack several examples in one.")] = (
        False
    ),
    mode: Annotated[str | None, typer.Option(help="lora, or full: all weights.")] = None,
    method: Annotated[str | None, typer.Option(help="sft, the only one so far.")] = None,
    lora_r: Annotated[str | None, typer.Option(help="Rank of the adapter.")] = None,
    lora_alpha: Annotated[str | None, typer.Option(help="Scale of the adapter.")] = None,
    lora_dropout: Annotated[str | None, typer.Option(help="Dropout of the adapter.")] = None,
    target_modules: Annotated[
        str | None, typer.Option(help="all-linear, or names with commas.")
    ] = None,
    use_dora: Annotated[bool, typer.Option("--use-dora", help="DoRA.")] = False,
    use_rslora: Annotated[bool, typer.Option("--use-rslora", help="Rank-stabilised.")] = False,
    init_lora_weights: Annotated[
        str | None, typer.Option(help="default, gaussian, pissa, olora or loftq.")
    ] = None,
    no_4bit: Annotated[bool, typer.Option("--no-4bit", help="Do not quantise the base.")] = False,
    no_unsloth: Annotated[
        bool, typer.Option("--no-unsloth", help="Train with transformers and PEFT.")
    ] = False,
    report_to: Annotated[
        str | None, typer.Option(help="Trackers, with commas: tensorboard, wandb…")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Seed of everything random.")] = None,
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
    if method not in (None, "sft"):
        raise UserError(f"--method {method} is not known here", hint="sft is: leave it out.")
    flags = {
        "preset": _listed(",".join(preset)) if preset else None,
        "data.train": data,
        "model.base": model,
        "training.steps": steps,
        "training.epochs": epochs,
        "data.limit": samples,
        "training.batch_size": batch_size,
        "training.gradient_accumulation": gradient_accumulation,
        "training.learning_rate": lr,
        "training.optimizer": optim,
        "model.max_length": max_length,
        "training.packing": "pack" if packing else None,
        "training.method": mode,
        "lora.rank": lora_r,
        "lora.alpha": lora_alpha,
        "lora.dropout": lora_dropout,
        "lora.targets": _listed(target_modules) if target_modules != "all-linear" else "all-linear",
        "lora.dora": "true" if use_dora else None,
        "lora.rslora": "true" if use_rslora else None,
        "lora.init": init_lora_weights,
        "model.quantization": "none" if no_4bit else None,
        "model.backend": "transformers" if no_unsloth else None,
        "tracking.to": _listed(report_to) if report_to != "none" else "[]",
        "training.seed": seed,
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
    names_model = model is not None or preset is not None or _sets(overrides, "model.base")
    if config is None and not (names_model and (data is not None or _sets(overrides, "data."))):
        raise UserError(
            "nothing to train: name a config, or --data and --model",
            hint="For a first look: backprop demo",
        )
    raise typer.Exit(launch(load_config(config, given), output, watching))


def _listed(words: str | None) -> str | None:
    """`a,b` as a YAML list; names only, so that quoting is no matter."""
    return None if words is None else f"[{words}]"


def _sets(overrides: list[str] | None, field: str) -> bool:
    return any(override.startswith(field) for override in overrides or [])
