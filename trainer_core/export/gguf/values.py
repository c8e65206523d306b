"""Metadata of plain values."""

from typing import Any

import gguf


def add_values(writer: gguf.GGUFWriter, values: dict[str, Any]) -> None:
    """Add `values`: whole numbers as 32 bits without sign, other numbers as 32-bit floats."""
    for key, value in values.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_string(key, value)
