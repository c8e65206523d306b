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


def tensors(path: Path) -> dict[str, list[Any]]:
    """Each tensor's type, shape (fastest dimension first) and hash of its bytes."""
    return {
        tensor.name: [
            tensor.tensor_type.name,
            [int(size) for size in tensor.shape],
            hashlib.sha256(tensor.data.tobytes()).hexdigest(),
        ]
        for tensor in gguf.GGUFReader(path).tensors
    }


def _short(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    text = json.dumps(value, ensure_ascii=True)
    return [len(value), hashlib.sha256(text.encode()).hexdigest()]
