"""The K-quants: a GGUF of 16 or 32 bits made smaller by llama.cpp, in a process of its own, which
can be ended in the middle and may die without taking the job with it."""

import logging
import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import gguf

from trainer_core.config.export_section import GgufType
from trainer_core.errors import BackpropError, UserError
from trainer_core.export.gguf.library import require_llama_cpp
from trainer_core.text import one_line

__all__ = ["quantize", "require_llama_cpp"]

_log = logging.getLogger(__name__)
_TYPES: dict[str, int] = {
    "q2_k": 10, "q3_k_s": 11, "q3_k_m": 12, "q3_k_l": 13, "q4_k_s": 14, "q4_k_m": 15,
    "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18,
}  # fmt: skip
_BLOCK = 256  # numbers that share scales
# What the process runs: llama.cpp and nothing else, its words on stderr. It ends with the job: the
# next word finds nobody who listens.
_SCRIPT = """
import ctypes, os, signal, sys
import llama_cpp
if hasattr(signal, "SIGPIPE"):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
source, target, kind, threads = sys.argv[1:]
params = llama_cpp.llama_model_quantize_default_params()
params.ftype, params.nthread = int(kind), int(threads)
llama_cpp.llama_log_set(llama_cpp.llama_log_callback(), ctypes.c_void_p(0))
sys.exit(
    llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params))
)
"""
_TENSOR = re.compile(r"^\[\s*(\d+)\s*/\s*(\d+)\]")
_LISTEN = 0.25  # seconds between two looks at whether to stop
# Tensors done, and of how many; what it raises ends the work.
Tell = Callable[[int, int], None]


def quantize(
    source: Path,
    target: Path,
    kind: GgufType,
    threads: int | None = None,
    tell: Tell = lambda _done, _total: None,
) -> list[str]:
    """Write `source` to `target` as a K-quant, and give notes for the user. `threads` are all of
    the machine's if not given. `tell` hears how far it is several times a second.

    Raises UserError where llama.cpp is missing or the type is none of its own, BackpropError where
    it fails.
    """
    if kind not in _TYPES:
        raise UserError(f"{kind} is no K-quant")
    require_llama_cpp()
    command = [sys.executable, "-P", "-c", _SCRIPT, str(source.resolve()), str(target.resolve()),
               str(_TYPES[kind]), str(threads or os.cpu_count() or 1)]  # fmt: skip
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    last: deque[str] = deque(maxlen=5)
    try:
        _follow(process, last, tell)
    except BaseException:
        process.kill()
        raise
    finally:
        process.wait()
    if process.returncode:
        why = next((line for line in reversed(last) if "fail" in line), " ".join(last))
        raise BackpropError(
            f"llama.cpp could not make {kind} of {source.name} (exit status "
            f"{process.returncode}): {why}"
        )
    return _notes(target)


def _follow(process: subprocess.Popen[bytes], last: deque[str], tell: Tell) -> None:
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    done = total = 0
    while True:
        tell(done, total)
        try:
            data = lines.get(timeout=_LISTEN)
        except queue.Empty:
            continue
        if data is None:
            return
        line = one_line(data.decode("utf-8", errors="replace"), limit=500)
        _log.debug("%s", line)
        last.append(line)
        match = _TENSOR.match(line)
        if match:
            done, total = int(match[1]), int(match[2])


def _read(process: subprocess.Popen[bytes], lines: "queue.Queue[bytes | None]") -> None:
    assert process.stderr is not None  # noqa: S101 - opened as a pipe
    for line in process.stderr:
        lines.put(line)
    lines.put(None)


def _notes(path: Path) -> list[str]:
    """Which tensors llama.cpp could not cut into blocks, and took another type for."""
    tensors = [t for t in gguf.GGUFReader(path).tensors if len(t.shape) > 1]
    odd = [t for t in tensors if int(t.shape[0]) % _BLOCK]
    if not odd:
        return []
    types = sorted({t.tensor_type.name for t in odd})
    return [
        f"{len(odd)} of {len(tensors)} tensors have rows that are no multiple of {_BLOCK} numbers; "
        f"llama.cpp keeps those as {', '.join(types)}, so the file is larger"
    ]
