"""Options that several commands share."""

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.errors import UserError
from trainer_core.hardware.gpus import GpuReader
from trainer_core.worker.waiting import require_possible

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
WaitForVram = Annotated[
    str | None,
    typer.Option(
        "--wait-for-vram",
        metavar="SIZE",
        help="Start when a GPU has so much memory free: 20GB, 500MiB, or a number of GiB.",
    ),
]
Config = Annotated[Path | None, typer.Argument(help="A YAML config.", show_default=False)]


def listed(words: str | None) -> str | None:
    """`a,b` as a YAML list; names only, so that quoting is no matter."""
    return None if words is None else f"[{words}]"


def sets(overrides: list[str] | None, field: str) -> bool:
    """Whether --set names a field that begins like this."""
    return any(override.startswith(field) for override in overrides or [])


# As everywhere: GB counts in thousands, GiB in 1024s, and G is short for GiB.
_UNITS = {"": 1 << 30, "g": 1 << 30, "gib": 1 << 30, "m": 1 << 20, "mib": 1 << 20}
_UNITS |= {"gb": 10**9, "mb": 10**6, "t": 1 << 40, "tib": 1 << 40, "tb": 10**12}


def bytes_to_wait_for(words: str | None) -> int | None:
    """What --wait-for-vram asks for, in bytes; None without it. Raises UserError for what is no
    size, and where such a wait could never end, as on a machine without a GPU."""
    if words is None:
        return None
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]{0,3})", words.strip().lower())
    unit = _UNITS.get(match[2]) if match else None
    wanted = math.ceil(float(match[1]) * unit) if match and unit else 0
    if wanted <= 0:
        raise UserError(
            f"--wait-for-vram {words} is no size", hint="Say 20GB, 500MiB, or a number of GiB."
        )
    reader = GpuReader()
    require_possible(wanted, reader.read(), reader.note)
    return wanted
