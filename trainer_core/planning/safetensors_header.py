"""Which files hold a model's weights, and what their headers say: checked before it is believed.

Format: 8 bytes, the length of the header in little endian; the header, a JSON object; then the
tensors' bytes, without gaps. Source: https://huggingface.co/docs/safetensors.
"""

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from trainer_core.errors import UserError
from trainer_core.reading import json_object, read_object
from trainer_core.text import one_line

MOST_HEADER = 100 << 20  # bytes, as the library itself has it
_MOST_DIMENSIONS = 64
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][\w.-]{0,200}", re.ASCII)
# Bits of one number, by what headers call them.
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8,
    "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor: its number format, its shape, and where its bytes begin in the file."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def numbers(self) -> int:
        """How many it has."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, Entry]:
    """The tensors of a file, by name. Raises UserError if it is not a whole safetensors file, with
    each tensor inside it and none over another."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            length = int.from_bytes(file.read(8), "little")
            if length > min(MOST_HEADER, size - 8):
                raise ValueError("its header is longer than the file")
            header = json_object(file.read(length), "its header")
        return _entries(header, 8 + length, size)
    except UserError as error:
        raise _broken(path, error) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, error) from None


def indexed_files(folder: Path, called: str = "model") -> list[Path] | None:
    """The files that the index of a model in several files names, whether they are there or not;
    None without an index. Raises UserError for a name of anything but a file of this folder."""
    index = folder / f"{called}.safetensors.index.json"
    try:
        named = set(read_object(index)["weight_map"].values())
    except FileNotFoundError:
        return None
    except (KeyError, AttributeError, TypeError):
        raise UserError(f"{index} names no files", hint="Fetch it again.") from None
    for name in named:
        if not isinstance(name, str) or not _PLAIN_NAME.fullmatch(name):
            raise UserError(
                f"{index} names {one_line(repr(name), limit=80)}, which is no file of its folder",
                hint="Fetch the model again, from where you trust it.",
            )
    return [folder / name for name in sorted(named)]


def _entries(header: dict[str, Any], data: int, size: int) -> dict[str, Entry]:
    places: list[tuple[int, int]] = []
    entries: dict[str, Entry] = {}
    for name, said in header.items():
        if name == "__metadata__":
            continue
        begin, end = (_whole(number) for number in said["data_offsets"])
        shape = tuple(_whole(number) for number in said["shape"])
        if len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"{name[:80]!r} has {len(shape)} dimensions")
        entry = Entry(str(said["dtype"]), shape, data + begin)
        if entry.dtype not in BITS:
            raise ValueError(f"the number format {entry.dtype[:20]!r} is not known")
        if (end - begin) * 8 != entry.numbers * BITS[entry.dtype] or data + end > size:
            raise ValueError(f"{name[:80]!r} lies outside of it, or is not as large as its shape")
        places.append((begin, end))
        entries[name] = entry
    places.sort()
    if any(end > begin for (_, end), (begin, _) in pairwise(places)):
        raise ValueError("two tensors lie over each other")
    return entries


def _whole(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**63:
        raise ValueError(f"{str(number)[:40]!r} is no size")
    return number


def _broken(path: Path, error: Exception) -> UserError:
    reason = str(error) if not isinstance(error, KeyError) else f"{error} is missing"
    return UserError(
        f"{path} is not a whole safetensors file: {reason[:200].rstrip('.')}",
        hint="Fetch it again.",
    )
