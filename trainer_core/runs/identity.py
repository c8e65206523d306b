"""identity.json: fingerprints of what a training is made of. engine/identity.py takes them."""

import json
from typing import Any

from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.reading import read_object
from trainer_core.runs.folder import RunFolder

FORMAT = 1


def read_identity(folder: RunFolder) -> dict[str, Any] | None:
    """What the run was made of when it began; None where that is not known."""
    try:
        found = read_object(folder.identity)
    except (OSError, UserError):
        return None
    return found if found.get("format") == FORMAT else None


def write_identity(folder: RunFolder, identity: dict[str, Any]) -> None:
    """Say what the run is made of from now on."""
    data = json.dumps(identity, indent=1).encode()
    write_atomically(folder.identity, data, durable=True)


def other_material(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What of the examples and of the base model changed, a line each; what is not known of before
    says nothing."""
    found = []
    for split, (rows, fingerprint) in now["data"].items() if "data" in before else ():
        old_rows, old = before["data"].get(split, [0, ""])
        if old != fingerprint:
            counts = f"{old_rows:,} examples, now {rows:,}" if old_rows != rows else "other rows"
            found.append(f"the {split} data: {counts}")
    if before.get("base", now["base"]) != now["base"]:
        found.append("the files of the base model")
    return found
