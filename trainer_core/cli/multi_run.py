"""`backprop multi-run`: train in several runs without forgetting, or take a merge back."""

from typing import Annotated

import typer

from trainer_core.cli.headless import say
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
    bytes_to_wait_for,
    sets,
)
from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from trainer_core.runs.merges import merged_runs, undo_last_merge
from trainer_core.runs.registry import find_run
from trainer_core.runs.trained import trained_places


def multi_run(
    config: Config = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Rows to train on; several times: a run for each, in order."),
    ] = None,
    model: Model = None,
    runs: Annotated[
        str | None, typer.Option(help="Cut the data into so many shards, a run for each.")
    ] = None,
    steps: Annotated[str | None, typer.Option(help="Optimizer steps of each run.")] = None,
    epochs: Annotated[str | None, typer.Option(help="Passes of each run over its rows.")] = None,
    samples: Annotated[str | None, typer.Option(help="At most so many rows in each run.")] = None,
    merge_mode: Annotated[
        str | None,
        typer.Option(
            "--merge-mode",
            "--merge-strategy",
            help="slao, linear, svd, ties, dare-linear, dare-ties, none: multi_run.merge.",
        ),
    ] = None,
    replay: Annotated[
        str | None, typer.Option(help="Share of each run's rows from runs before, at most 0.5.")
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Train baselines too: one run after the other, and mixed."),
    ] = False,
    preset: Preset = None,
    batch_size: BatchSize = None,
    gradient_accumulation: Accumulation = None,
    lr: Rate = None,
    max_length: MaxLength = None,
    lora_r: LoraRank = None,
    no_unsloth: NoUnsloth = False,
    seed: Seed = None,
    run_name: RunName = None,
    drift_gate: Annotated[str | None, typer.Option(hidden=True)] = None,
    eval_gate: Annotated[str | None, typer.Option(hidden=True)] = None,
    overrides: Overrides = None,
    output: Output = None,
    resume_run: Resume = None,
    undo: Annotated[
        str | None,
        typer.Option("--undo", metavar="RUN", help="Let its adapter be as before the last merge."),
    ] = None,
    wait_for_vram: WaitForVram = None,
    headless: Headless = False,
    json: Json = False,
) -> None:
    """Train in several runs: backprop multi-run --data FILE --model NAME --runs 5 --steps 100."""
    if drift_gate is not None or eval_gate is not None:
        raise UserError(
            "--drift-gate and --eval-gate are not known here",
            hint="multi_run.patience ends runs that make it worse; --undo takes a merge back.",
        )
    by_source = len(data or []) > 1 and runs is None
    flags = {
        "preset": f"[{','.join(preset)}]" if preset else None,
        "model.base": model,
        "multi_run.runs": runs,
        "multi_run.by_source": "true" if by_source else None,
        "multi_run.samples": samples,
        "multi_run.merge": merge_mode,
        "multi_run.replay": replay,
        "multi_run.compare": "[sequential, joint]" if compare else None,
        "training.steps": steps,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.gradient_accumulation": gradient_accumulation,
        "training.learning_rate": lr,
        "model.max_length": max_length,
        "lora.rank": lora_r,
        "model.backend": "transformers" if no_unsloth else None,
        "training.seed": seed,
        "run.name": run_name,
    }
    given = [f"{name}={value}" for name, value in flags.items() if value is not None]
    given += overrides or []
    watching = Watching(headless=headless, json=json)
    earlier = undo or resume_run
    if earlier is not None:
        if config is not None or output is not None or data or given or (undo and resume_run):
            option = "--undo" if undo is not None else "--resume"
            raise UserError(f"{option} takes the run and nothing else", hint="Leave the rest out.")
        if undo is not None:
            raise typer.Exit(_undo(earlier))
        room = bytes_to_wait_for(wait_for_vram)
        raise typer.Exit(resume(earlier, watching, wait_for=room))
    named = model is not None or preset is not None or sets(overrides, "model.base")
    if config is None and not (named and (data or sets(overrides, "data."))):
        raise UserError(
            "nothing to train: name a config, or --data and --model",
            hint="For example: backprop multi-run --data rows.jsonl --model owner/name --runs 5",
        )
    rows = {"data.train": data[0] if len(data) == 1 else data} if data else {}
    loaded = load_config(config, given, rows)
    if not loaded.config.multi_run.several:
        raise UserError(
            "there is only one run", hint="Say how many with --runs, or name several --data."
        )
    room = bytes_to_wait_for(wait_for_vram)
    raise typer.Exit(launch(loaded, output, watching, wait_for=room))


def _undo(reference: str) -> int:
    folder = find_run(reference).folder
    number, now = undo_last_merge(folder), merged_runs(folder)[-1]
    last = next(place.path for place in trained_places(folder) if place.name == "last")
    say(
        f"the merge of run {number} is undone: {last} is as it was after run {now}; what run "
        f"{number} trained stays in {folder.part(number).path}"
    )
    return 0
