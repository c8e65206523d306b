"""What a training is made of, so that a resume knows whether it is the same one.

`identity.json` in the run folder holds fingerprints of the examples and of the base model, and
every setting that the weights depend on. It is written before the first step.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from trainer_core.config.paths import make_paths_absolute
from trainer_core.config.yaml_file import read_yaml
from trainer_core.engine.preparing import Ready
from trainer_core.errors import BackpropError, UserError
from trainer_core.planning.plan import ResolvedRun
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.identity import FORMAT, other_material
from trainer_core.text import one_line

# The sections that decide what the weights become; the others may change at any time.
_SECTIONS = ("model", "lora", "data", "training", "multi_run")
# Of a file of weights: so many pieces, spread over all of it, are looked at.
_PIECES, _PIECE = 64, 1 << 16
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def identity_of(ready: Ready) -> dict[str, Any]:
    """What this training is made of (JSON)."""
    config = ready.run.config.model_dump(mode="json")
    settings = {
        f"{section}.{name}": value
        for section in _SECTIONS
        for name, value in config[section].items()
    }
    examples = {"train": ready.train, "validation": ready.validation}
    return {
        "format": FORMAT,
        "data": {name: [len(rows), rows.fingerprint()] for name, rows in examples.items()},
        "base": fingerprint_of_model(ready.base),
        "settings": settings,
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What changed, a line each; empty where it is the same training."""
    found = other_material(before, now)
    old_settings = before["settings"]
    for name, value in now["settings"].items():
        if name in old_settings and old_settings[name] != value:
            found.append(f"{name}: {_short(old_settings[name])}, now {_short(value)}")
    return found


def edited(config: Path, run: ResolvedRun) -> list[str]:
    """What of config.yaml is not what the run was planned from, a line each. One that is gone or
    cannot be read says nothing: the plan stands without it."""
    if not run.given:
        return []
    try:
        data = read_yaml(config).data
        make_paths_absolute(data, config.parent)
    except BackpropError:
        return []
    before, now = flat(run.given), flat(data)
    return [
        f"{name}: {_short(before.get(name, 'not given'))}, now {_short(now.get(name, 'not given'))}"
        for name in sorted({*before, *now})
        if before.get(name, "") != now.get(name, "")
    ]


def flat(data: Any, prefix: str = "") -> dict[str, Any]:
    """Plain data by dotted name."""
    if not isinstance(data, dict):
        return {prefix: data}
    found: dict[str, Any] = {}
    for name, value in data.items():
        found |= flat(value, f"{prefix}.{name}" if prefix else str(name))
    return found


def another_training(folder: RunFolder, changes: list[str]) -> UserError:
    """The refusal to go on with something else as if it were the same."""
    return UserError(
        f"this is not the run that began in {folder.path}: {'; '.join(changes)}",
        hint="Put it back as it was, or go on with what it is now from the last checkpoint's "
        f"weights: backprop train --resume {folder.path} --warm",
    )


def fingerprint_of_model(base: Path) -> str:
    """A base model's config, its tokenizer, and samples of its weights. SHA-256, in hex."""
    digest = hashlib.sha256()
    for name in ("config.json", *_TOKENIZER):
        path = base / name
        if path.is_file():
            digest.update(name.encode() + path.read_bytes())
    for path in sorted(base.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for piece in range(_PIECES):
                file.seek(max(0, size - _PIECE) * piece // (_PIECES - 1))
                digest.update(file.read(_PIECE))
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = one_line(value if isinstance(value, str) else json.dumps(value, default=str))
    return text if len(text) <= 60 else f"{text[:57]}…"
