"""What differs between systems: starting a detached process, and addresses to listen on.

Linux is where this runs every day; the Windows branches are type-checked and not yet run.
"""

import os
import re
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

# A Unix socket's path holds 108 bytes with its end, 104 on macOS.
_MAX_SOCKET_PATH = 100


def start_detached(
    command: Sequence[str],
    log: Path,
    *,
    listens: bool = False,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a process that outlives us and our terminal, its output appended to `log`. One that
    `listens` reads what we write to its stdin, and sees it close when we are gone."""
    stdin = subprocess.PIPE if listens else subprocess.DEVNULL
    with log.open("ab") as output:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
            return subprocess.Popen(
                command,
                stdin=stdin,
                stdout=output,
                stderr=output,
                env=environment,
                creationflags=flags,
            )
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )


def new_address() -> tuple[str, Path]:
    """A fresh address to listen on, and a private folder (0700) for what belongs to it."""
    folder = _private_folder() / secrets.token_hex(4)
    folder.mkdir(mode=0o700)
    if sys.platform == "win32":
        return rf"\\.\pipe\backprop-{secrets.token_hex(8)}", folder
    return str(folder / "socket"), folder


def family() -> str:
    """The kind of address that `new_address` gives, in multiprocessing's words."""
    return "AF_PIPE" if sys.platform == "win32" else "AF_UNIX"


def address_exists(address: str) -> bool:
    """Whether an address can still be reached by new clients."""
    return sys.platform == "win32" or Path(address).exists()


def forget_address(key_file: str) -> None:
    """Remove the folder of an address whose owner died, named by its key file. Nothing else is
    removed, whatever the name says: it comes from a file."""
    folder = Path(key_file).parent
    ours = any(folder.parent == place for place in _private_folders())
    if ours and re.fullmatch("[0-9a-f]{8}", folder.name) and not _unfit(folder.parent):
        shutil.rmtree(folder, ignore_errors=True)


def cut(connection: "Connection") -> None:
    """End a connection at once, waking whoever waits in it."""
    if sys.platform == "win32":
        with suppress(OSError):
            connection.close()
        return
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as twin:
        twin.shutdown(socket.SHUT_RDWR)


def _private_folder() -> Path:
    """The user's runtime folder, else a folder of the user's own in the temporary folder."""
    problems = []
    for folder in _private_folders():
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            problem = _unfit(folder)
        except OSError as error:
            problem = error.strerror or str(error)
        if not problem:
            return folder
        problems.append(f"{folder}: {problem}")
    raise OSError(f"no folder for the worker's socket: {'; '.join(problems)}")


def _private_folders() -> list[Path]:
    """Where it may be; the first that is fit is taken."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if sys.platform == "win32":
        user = os.environ.get("USERNAME", "user")
    else:
        user = str(os.getuid())
    candidates = [Path(runtime) / "backprop"] if runtime else []
    candidates += [Path(tempfile.gettempdir()) / f"backprop-{user}", Path(f"/tmp/backprop-{user}")]  # noqa: S108 - owner and mode are checked
    return candidates


def _unfit(folder: Path) -> str:
    """Why `folder` must not hold our sockets; empty if it may."""
    if sys.platform == "win32":
        return ""
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        return "not a folder of this user"
    if info.st_mode & 0o077:
        return "others may enter it"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "not writable"
    if len(os.fsencode(folder)) + len("/12345678/socket") > _MAX_SOCKET_PATH:
        return "its path is too long for a socket"
    return ""
