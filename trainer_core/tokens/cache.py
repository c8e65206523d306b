"""Where encoded data is kept: named by all that decides it, made beside its place, then renamed."""

import hashlib
import json
import os
import platform
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
import psutil

from trainer_core.tokens.store import FORMAT, Store, open_store

UNUSED_SECONDS = 30 * 24 * 3600


def cache_folder() -> Path:
    """Where this user's encoded data is kept."""
    return platformdirs.user_cache_path("backprop", appauthor=False) / "tokens"


def cache_key(facts: dict[str, Any]) -> str:
    """A name for what `facts` (JSON) decide."""
    text = json.dumps({"format": FORMAT, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def find(key: str) -> Store | None:
    """What was kept under `key`, if it is whole."""
    folder = cache_folder() / key
    store = open_store(folder)
    if store is not None:
        with suppress(OSError):
            os.utime(folder)
    return store


def new_folder(key: str) -> Path:
    """Where to make what will be kept under `key`; also forgets what was not used for a month."""
    _forget()
    maker = f"{platform.node()}.{os.getpid()}"
    return cache_folder() / f"{key}.{maker}.{time.monotonic_ns()}.part"


def keep(folder: Path, key: str) -> Store:
    """Move a finished folder to its place; where another was quicker, take that."""
    place = cache_folder() / key
    store = open_store(place)
    if store is not None:
        shutil.rmtree(folder, ignore_errors=True)
        return store
    shutil.rmtree(place, ignore_errors=True)
    with suppress(OSError):
        folder.rename(place)
    store = open_store(place) or open_store(folder)
    if store is None:
        raise OSError(f"{place} cannot be read back")
    return store


def _forget() -> None:
    """Remove what was long not used, and what a killed process left half made."""
    for folder in cache_folder().glob("*"):
        with suppress(OSError, ValueError):
            age = time.time() - folder.stat().st_mtime
            if age > UNUSED_SECONDS or (folder.suffix == ".part" and _abandoned(folder)):
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    """Whether what is half made here will never be finished; the home may be shared by machines."""
    _, _, maker = folder.stem.partition(".")
    host, process, _ = maker.rsplit(".", 2)
    return host == platform.node() and not psutil.pid_exists(int(process))
