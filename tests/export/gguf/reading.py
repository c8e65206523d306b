"""What a GGUF holds, as numbers and hashes that can be compared."""

import hashlib
import json
from pathlib import Path
from typing import Any

import gguf

# What llama.cpp's converter guesses from the folder's name, and what only tells the type.
NAMES = ("general.name", "general.basename", "general.size_label", "general.finetune",
         "general.version", "general.file_type", "GGUF.")  # fmt: skip


def keys(path: Path) -> dict[str, Any]:
    """The metadata; lists as how long they are and what they hash to."""
    found = {}
    for name, field in gguf.GGUFReader(path).fields.items():
        if not name.startswith(NAMES):
            found[name] = _short(field.contents())
    return found


def tensors(path: Path) -> dict[str, str]:
    """Each tensor's type, shape (fastest dimension first) and hash of its bytes."""
    return {
        tensor.name: f"{tensor.tensor_type.name} {'x'.join(str(size) for size in tensor.shape)} "
        f"{_hash(tensor.data.tobytes())}"
        for tensor in gguf.GGUFReader(path).tensors
    }


def _short(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return f"{len(value)} of {_hash(json.dumps(value, ensure_ascii=True).encode())}"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
