"""`backprop plan`: what a config will do here, what it costs in memory, and why."""

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.options import Json, Overrides
from trainer_core.config.load import load_config
from trainer_core.errors import EXIT_FAILED
from trainer_core.hardware.facts import MachineFacts, machine_facts
from trainer_core.hardware.gpus import Gpu
from trainer_core.planning.draft import Draft
from trainer_core.planning.report import plan_lines
from trainer_core.python.planning import plan_ahead
from trainer_core.text import clean

GIB = 1 << 30


def plan(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML config; or only --set.", show_default=False)
    ] = None,
    gpu: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=1e5, help="Plan for a GPU of so many GiB instead of this machine."
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Tokenise all of the data, as the run will.")
    ] = False,
    json: Json = False,
    overrides: Overrides = None,
) -> None:
    """Show every value of a run with its origin and reason, and the memory it needs.

    Nothing is loaded or started. Exit status 1 if the run would not fit.
    """
    loaded = load_config(config, overrides or [])
    machine = None if gpu is None else _with_gpu(gpu)
    found = plan_ahead(loaded, machine, exact=exact, own_process=True)
    if json:
        print(dumps(_facts(found)))
    else:
        for note in loaded.notes:
            print(f"note: {clean(note)}", file=sys.stderr)
        print(clean("\n".join(plan_lines(found))))
    memory = found.memory
    raise typer.Exit(EXIT_FAILED if memory is not None and not memory.fits else 0)


def _with_gpu(gib: float) -> MachineFacts:
    gpu = Gpu(index=0, name=f"a GPU of {gib:g} GiB", memory_total=int(gib * GIB), memory_used=0)
    return machine_facts().model_copy(
        update={"gpus": [gpu], "gpu_used": 0, "gpu_bfloat16": True, "gpu_note": ""}
    )


def _facts(found: Draft) -> dict[str, object]:
    run = found.run
    assert run is not None  # noqa: S101 - asked before
    return {
        "values": run.values(),
        "origins": {name: origin.model_dump() for name, origin in run.origins.items()},
        "total_steps": run.total_steps,
        "epochs": run.epochs,
        "memory": run.memory.model_dump() if run.memory is not None else None,
        "fits": run.memory.fits if run.memory is not None else None,
        "warnings": run.warnings,
        "estimated": found.estimated,
    }
