"""`backprop train`: start a run from a config, from flags, or from both; or resume one."""

from typing import Annotated

import typer

from trainer_core.cli.launch import Watching, launch, resume
from trainer_core.cli.options import (
    Accumulation,
    BatchSize,
    Config,
    Headless,
    Json,
    LoraRank,
    MaxLength,
    Model,
    NoUnsloth,
    Output,
    Overrides,
    Preset,
    Rate,
    Resume,
    RunName,
    Seed,
    WaitForVram,
    Warm,
    bytes_to_wait_for,
    listed,
    sets,
)
from trainer_core.config.load import load_config
from trainer_core.errors import UserError


def train(
    config: Config = None,
    preset: Preset = None,
    data: Annotated[str | None, typer.Option(help="Rows to train on.")] = None,
    model: Model = None,
    steps: Annotated[str | None, typer.Option(help="Optimizer steps.")] = None,
    epochs: Annotated[str | None, typer.Option(help="Passes over the data.")] = None,
    samples: Annotated[str | None, typer.Option(help="Use at most this many rows.")] = None,
    batch_size: BatchSize = None,
    gradient_accumulation: Accumulation = None,
    lr: Rate = None,
    optim: Annotated[str | None, typer.Option(help="Optimizer, or auto.")] = None,
    max_length: MaxLength = None,
    packing: Annotated[bool, typer.Option("--packing", help="Pack several examples in one.")] = (
        False
    ),
    mode: Annotated[str | None, typer.Option(help="lora, or full: all weights.")] = None,
    method: Annotated[str | None, typer.Option(help="sft, the only one so far.")] = None,
    lora_r: LoraRank = None,
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
    no_unsloth: NoUnsloth = False,
    report_to: Annotated[
        str | None, typer.Option(help="Trackers, with commas: tensorboard, wandb…")
    ] = None,
    seed: Seed = None,
    run_name: RunName = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    overrides: Overrides = None,
    output: Output = None,
    resume_run: Resume = None,
    warm: Warm = False,
    wait_for_vram: WaitForVram = None,
    headless: Headless = False,
    json: Json = False,
) -> None:
    """Train: backprop train CONFIG.yaml, or backprop train --data FILE --model NAME --steps N."""
    if method not in (None, "sft"):
        raise UserError(f"--method {method} is not known here", hint="sft is: leave it out.")
    flags = {
        "preset": listed(",".join(preset)) if preset else None,
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
        "lora.targets": listed(target_modules) if target_modules != "all-linear" else "all-linear",
        "lora.dora": "true" if use_dora else None,
        "lora.rslora": "true" if use_rslora else None,
        "lora.init": init_lora_weights,
        "model.quantization": "none" if no_4bit else None,
        "model.backend": "transformers" if no_unsloth else None,
        "tracking.to": listed(report_to) if report_to != "none" else "[]",
        "training.seed": seed,
        "run.name": run_name,
        "logging.level": log_level,
    }
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    given += overrides or []
    watching = Watching(headless=headless, json=json)
    if resume_run is not None:
        if config is not None or output is not None or (given and not warm):
            raise UserError(
                "a resumed run keeps its own config and folder",
                hint="Give --resume alone; --warm goes on with other settings (--set).",
            )
        room = bytes_to_wait_for(wait_for_vram)
        raise typer.Exit(resume(resume_run, watching, warm=warm, overrides=given, wait_for=room))
    if warm:
        raise UserError("--warm is for a run that is resumed", hint="Name it: --resume RUN --warm")
    names_model = model is not None or preset is not None or sets(overrides, "model.base")
    if config is None and not (names_model and (data is not None or sets(overrides, "data."))):
        raise UserError(
            "nothing to train: name a config, or --data and --model",
            hint="For a first look: backprop demo",
        )
    loaded = load_config(config, given)
    room = bytes_to_wait_for(wait_for_vram)
    raise typer.Exit(launch(loaded, output, watching, wait_for=room))
