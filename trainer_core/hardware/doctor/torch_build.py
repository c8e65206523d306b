"""Which build of torch is installed, without importing it."""

import re
from pathlib import Path

from pydantic import BaseModel

from trainer_core.hardware.doctor.surroundings import Surroundings


class TorchBuild(BaseModel):
    """`cuda` and `hip` are the versions that it was built for; empty where it was not."""

    version: str
    cuda: str = ""
    hip: str = ""


def torch_build(place: Surroundings) -> TorchBuild | None:
    """What torch/version.py says, else the local part of the version (`+cpu`, `+cu130`); None if
    torch is not installed."""
    package = place.packages.get("torch")
    if package is None:
        return None
    try:
        lines = Path(str(package.locate_file("torch/version.py"))).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        label = re.search(r"\+cu(\d+)(\d)$", package.version)
        return TorchBuild(version=package.version, cuda=f"{label[1]}.{label[2]}" if label else "")
    return TorchBuild(version=package.version, cuda=_said(lines, "cuda"), hip=_said(lines, "hip"))


def _said(lines: str, name: str) -> str:
    found = re.search(rf"^{name}\b[^=\n]*=\s*['\"]([^'\"]*)", lines, re.MULTILINE)
    return found[1] if found else ""
