"""The black box: what is known of a job that died, in one file of its folder, for whoever wants to
know why. It holds no environment, and of the data only lengths and row numbers."""

import json
import os
import platform
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from trainer_core.files import write_atomically
from trainer_core.runs.events import Event, Failed, Hardware, Log, Notice, Stage, decode
from trainer_core.runs.flight import read_flight
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import tail_lines
from trainer_core.runs.provenance import versions
from trainer_core.text import clean, size
from trainer_core.worker.memory_groups import MemoryGroup, memory_groups

FORMAT = 1
LOG_LINES = 100
WARNINGS = 20
MAX_LINE = 500
_LOG_BYTES = 1 << 16
_EVENT_BYTES = 1 << 18
_FRAME = re.compile(r'^ +File "([^"]+)", line (\d+) in (.+)$')


@dataclass
class Remains:
    """What a job left in its folder: the lines at the end of its output, what its events said last,
    its flight record."""

    output: list[str] = field(default_factory=list)
    stage: Stage | None = None
    hardware: Hardware | None = None
    warnings: list[Log | Notice] = field(default_factory=list)
    flight: dict[str, Any] = field(default_factory=dict)


def write_black_box(
    folder: RunFolder,
    failed: Failed,
    *,
    pid: int,
    code: int | None = None,
    log_start: int = 0,
    traceback: str = "",
    way: str = "",
) -> None:
    """Write black_box.json about the job `pid`, which ended as `failed` says, and let the hint end
    with its name, and with the `way` to go on. `log_start` is where the job's output begins in
    worker.log, in bytes. A failure to write is one trouble more, and hides not the first."""
    hint = failed.hint
    failed.hint = f"{hint} {way}".strip()
    with suppress(OSError, ValueError):
        remains = remains_of(folder, pid, log_start)
        box = contents(failed, remains, code, traceback)
        data = json.dumps(box, indent=1, ensure_ascii=True).encode()
        write_atomically(folder.black_box, data + b"\n", durable=True)
        failed.hint = f"{hint} What is known of it: {folder.black_box}. {way}".strip()


def contents(
    failed: Failed, remains: Remains, code: int | None = None, traceback: str = ""
) -> dict[str, Any]:
    """What stands in black_box.json; docs/formats.md describes it."""
    stage, hardware = remains.stage, remains.hardware
    groups = memory_groups()
    return {
        "format": FORMAT,
        "time": time.time(),
        "cause": failed.cause,
        "message": failed.message,
        "hint": failed.hint,
        "likely": likely(failed, remains, groups),
        "exit_code": code,
        "stage": stage.stage if stage else "",
        "stage_detail": stage.detail if stage else "",
        "step": failed.step,
        "flight": remains.flight,
        "memory": {
            "sample": _plain(hardware),
            "groups": [group.model_dump() for group in groups],
        },
        "versions": versions(),
        "machine": {
            "host": platform.node(),
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "ram": psutil.virtual_memory().total,
            "gpus": [gpu.name for gpu in hardware.gpus] if hardware else [],
        },
        "warnings": [_plain(warning) for warning in remains.warnings],
        "traceback": _lines(traceback)[-LOG_LINES:],
        "log": remains.output[-LOG_LINES:],
    }


def remains_of(folder: RunFolder, pid: int, log_start: int) -> Remains:
    """What can be read of the job `pid` in `folder`."""
    remains = Remains(output=_lines(tail_of_log(folder, log_start)))
    flight = read_flight(folder)
    if flight.get("pid") == pid:  # else it is of an earlier life
        remains.flight = flight
    for event in _last_events(folder):
        if isinstance(event, Stage):
            if event.stage == "starting":  # what follows is of this life
                remains.warnings.clear()
                remains.hardware = None
            remains.stage = event
        elif isinstance(event, Hardware):
            remains.hardware = event
        elif isinstance(event, Notice) or (isinstance(event, Log) and event.level != "INFO"):
            remains.warnings = [*remains.warnings, event][-WARNINGS:]
    return remains


def tail_of_log(folder: RunFolder, start: int) -> str:
    """The end of worker.log, from byte `start` on at most."""
    try:
        with folder.worker_log.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - _LOG_BYTES))
            return file.read(_LOG_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""


def likely(failed: Failed, remains: Remains, groups: Sequence[MemoryGroup]) -> str:
    """What most likely lies behind it, in a few words; empty where nothing points anywhere."""
    clues = [*_batch_clue(failed, remains), *_memory_clue(failed, remains, groups)]
    if failed.cause == "hung":
        clues += [f"it stood in {frame}" for frame in innermost_frames(remains.output)[:1]]
    return "; ".join(clues)


def innermost_frames(output: Sequence[str]) -> list[str]:
    """Of each thread in the last dump of faulthandler, the innermost frame, the main thread's
    first: it took the signal, and is written last."""
    found: list[str] = []
    for header, line in pairwise(output):
        match = _FRAME.match(line)
        if match and "(most recent call first)" in header:
            frame = f"{match[3]} ({Path(match[1]).name}, line {match[2]})"
            found.insert(0, frame)
    return found


def _batch_clue(failed: Failed, remains: Remains) -> list[str]:
    if failed.cause not in {"out-of-memory", "gpu"}:
        return []
    flight = remains.flight
    what = "validated" if flight.get("evaluating") else "trained"
    match flight.get("evaluating") or flight.get("shape"):
        case [int(examples), int(tokens)]:
            return [f"it {what} a batch of {examples} x {tokens:,} tokens just then"]
    return []


def _memory_clue(failed: Failed, remains: Remains, groups: Sequence[MemoryGroup]) -> list[str]:
    """Killed, and the memory was almost used up: someone may have killed it for that."""
    sample = remains.hardware
    if failed.cause not in {"killed", "out-of-memory"}:
        return []
    clues = []
    if sample is not None and sample.ram_total and sample.ram_used > 0.9 * sample.ram_total:
        clues.append(f"{size(sample.ram_used)} of {size(sample.ram_total)} RAM were in use")
    for group in groups:
        if group.limit and group.peak and group.peak > 0.95 * group.limit:
            clues.append(f"{group.words} ({group.path})")
            break
    return clues


def _last_events(folder: RunFolder) -> list[Event]:
    found: list[Event] = []
    for line in tail_lines(folder.events, _EVENT_BYTES):
        with suppress(ValueError):  # one of a newer version
            found.append(decode(line))
    return found


def _lines(text: str) -> list[str]:
    """Lines as they may be shown."""
    return [clean(line, limit=MAX_LINE) for line in text.splitlines()]


def _plain(event: Hardware | Log | Notice | None) -> dict[str, Any] | None:
    return event.model_dump(mode="json", exclude={"n", "type"}) if event is not None else None
