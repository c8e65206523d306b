"""gguf's writer, with the long lists of a vocabulary packed at once."""

import struct
from typing import Any

import gguf
import numpy as np
from gguf import GGUFValueType

_NUMBERS: dict[type, tuple[GGUFValueType, str]] = {
    int: (GGUFValueType.INT32, "<i4"),
    float: (GGUFValueType.FLOAT32, "<f4"),
}


class ListWriter(gguf.GGUFWriter):  # type: ignore[misc]
    """A GGUFWriter that takes no second for a vocabulary of some hundred thousand tokens: by
    itself, it packs them one by one, and that takes as long as a GB of tensors."""

    def _pack_val(
        self, val: Any, vtype: GGUFValueType, add_vtype: bool, sub_type: Any = None
    ) -> bytes:
        found = _list(val) if vtype == GGUFValueType.ARRAY and sub_type is None else None
        if found is None:
            packed: bytes = super()._pack_val(val, vtype, add_vtype, sub_type)
            return packed
        kind, data = found
        return struct.pack("<I", vtype) * add_vtype + struct.pack("<IQ", kind, len(val)) + data


def _list(val: Any) -> tuple[GGUFValueType, bytes] | None:
    """What the items of a list are, and all of them packed; None for a list of anything else."""
    kinds = set(map(type, val))
    if kinds == {str}:
        items = [item.encode() for item in val]
        return GGUFValueType.STRING, b"".join(struct.pack("<Q", len(one)) + one for one in items)
    if len(kinds) == 1 and (known := _NUMBERS.get(kinds.pop())) is not None:
        kind, layout = known
        return kind, np.array(val, dtype=layout).tobytes()
    return None
