"""Numbers by the million, in columns: appended once, then read from the file without loading it."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def open_file(path: Path) -> BinaryIO:
    """A column's file, to be appended to."""
    return path.open("wb")


class ColumnWriter:
    """Appends to columns of fixed type: in files of `folder`, or in memory where there is none
    (what was decrypted never comes near a disk)."""

    def __init__(self, types: dict[str, str], folder: Path | None) -> None:
        self._types = types
        self._folder = folder
        self._held: dict[str, list[Array]] = {name: [] for name in types}
        self._files: dict[str, BinaryIO] = {}
        if folder is not None:
            folder.mkdir(parents=True)
            self._files = {name: open_file(folder / f"{name}.bin") for name in types}

    def append(self, name: str, values: Array) -> None:
        """Add to the end of a column. Raises OSError when the disk is full."""
        values = np.ascontiguousarray(values, dtype=self._types[name])
        if self._files:
            self._files[name].write(values.tobytes())
        else:
            self._held[name].append(values)

    def finish(self) -> "Columns":
        """Close the columns and give them to read."""
        for file in self._files.values():
            file.close()
        if self._folder is not None:
            return open_columns(self._types, self._folder)
        return {
            name: np.concatenate(self._held.pop(name) or [np.empty(0, dtype)])
            for name, dtype in self._types.items()
        }

    def add(self, columns: "Columns", name: str, values: Array) -> None:
        """One column more, given as a whole, after the others. Raises OSError when the disk is
        full."""
        columns[name] = values
        if self._folder is not None:
            path = self._folder / f"{name}.bin"
            path.write_bytes(values.astype(self._types[name]).tobytes())
            columns[name] = _mapped(path, self._types[name])

    def discard(self) -> None:
        """Leave nothing behind."""
        for file in self._files.values():
            with suppress(OSError):  # closing writes what is left, and the disk may be full
                file.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


Columns = dict[str, Array]


def open_columns(types: dict[str, str], folder: Path) -> Columns:
    """The columns in `folder`, mapped into memory. Raises OSError or ValueError."""
    return {name: _mapped(folder / f"{name}.bin", dtype) for name, dtype in types.items()}


def _mapped(path: Path, dtype: str) -> Array:
    size = path.stat().st_size
    if size == 0:
        return np.empty(0, dtype)
    if size % np.dtype(dtype).itemsize:
        raise ValueError(f"{path} is cut off")
    return np.memmap(path, dtype=dtype, mode="r")
