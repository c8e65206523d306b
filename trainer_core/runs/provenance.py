"""What a run was made with, beside its settings: the machine, the libraries, the data as read.

`provenance.json` in the run folder, written anew at each start, before the model is loaded.
"""

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ValidationError

from trainer_core.data.report import DataReport
from trainer_core.files import write_atomically
from trainer_core.hardware.facts import MachineFacts, machine_facts
from trainer_core.runs.folder import RunFolder

FORMAT = 1
# What a run depends on; those that are not installed are left out.
PACKAGES = (
    "backprop-tui", "torch", "transformers", "trl", "peft", "datasets", "accelerate",
    "bitsandbytes", "unsloth", "unsloth_zoo", "tokenizers", "safetensors", "triton", "xformers",
    "flash-attn", "deepspeed", "numpy", "pyarrow", "pydantic", "psutil",
)  # fmt: skip


class Provenance(BaseModel):
    """What provenance.json holds. `versions` are of Python and the packages by name; `data` has
    problems by kind and place, without what the rows say: that may be secret."""

    format: int = FORMAT
    host: str
    system: str
    processor: str = ""
    versions: dict[str, str] = {}
    machine: MachineFacts
    data: DataReport


def write_provenance(folder: RunFolder, data: DataReport) -> None:
    """Write down what this process trains with."""
    quiet = [found.model_copy(update={"message": ""}) for found in data.problems]
    found = Provenance(
        host=platform.node(),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        versions=versions(),
        machine=machine_facts(),
        data=data.model_copy(update={"problems": quiet}),
    )
    write_atomically(folder.provenance, found.model_dump_json(indent=1).encode() + b"\n")


def read_provenance(folder: RunFolder) -> Provenance | None:
    """What is known of it; None where nothing is."""
    try:
        return Provenance.model_validate_json(folder.provenance.read_bytes())
    except (OSError, ValidationError):
        return None


def versions() -> dict[str, str]:
    """Of Python and the packages, read from their metadata: nothing is imported."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _processor() -> str:
    """The CPU's name, where Linux tells it."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
