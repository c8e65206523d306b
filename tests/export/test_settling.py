"""A file that goes to the disk as it is written: all of it, and the disk's complaints are heard."""

import errno
import os
from pathlib import Path

import pytest

from trainer_core.export import settling
from trainer_core.export.settling import Settling


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "EVERY", 10)


def test_all_of_it_is_there(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file, Settling(file) as disk:
        for _ in range(100):
            file.write(b"0123456789")
            disk.wrote(10)
        disk.finish()
        assert (tmp_path / "file").read_bytes() == b"0123456789" * 100


def test_what_the_disk_says_in_between_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        monkeypatch.undo()  # a disk says it once
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with (tmp_path / "file").open("wb") as file, Settling(file) as disk:
        disk.wrote(10)
        with pytest.raises(OSError, match="No space left"):
            disk.finish()
