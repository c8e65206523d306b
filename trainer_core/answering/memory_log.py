"""What memory a job took while it worked, and how fast it was: a file of numbers, and a picture."""

import json
import logging
import time
from pathlib import Path

import psutil
import torch

log = logging.getLogger(__name__)

# Between two lines.
SECONDS = 0.5
# The answers of a batch are no further apart.
AT_ONCE = 0.05
GIB = 1 << 30


class MemoryLog:
    """memory.jsonl in a job's folder: seconds since the work began, RAM and GPU memory of this
    process in GiB, answers and tokens so far, tokens a second since the line before."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "memory.jsonl"
        self._picture = folder / "memory.png"
        self._process = psutil.Process()
        self._lines: list[dict[str, float]] = []
        self._written = 0.0
        self._newest: tuple[float, int, int] | None = None
        self.peak_ram = 0.0
        self.peak_gpu: float | None = None

    def add(self, seconds: float, answers: int, tokens: int) -> None:
        """Take what there is so far. A line is written now and then, of what a batch ended with:
        its answers come at once, and in between a rate means nothing."""
        newest, self._newest = self._newest, (seconds, answers, tokens)
        if newest and seconds - newest[0] > AT_ONCE and newest[0] - self._written >= SECONDS:
            self._write(*newest)

    def end(self) -> None:
        """Write the last line."""
        if self._newest is not None and self._newest[0] > self._written:
            self._write(*self._newest)

    def _write(self, seconds: float, answers: int, tokens: int) -> None:
        before = self._lines[-1] if self._lines else {"seconds": 0.0, "tokens": 0.0}
        passed = seconds - before["seconds"]
        rate = (tokens - before["tokens"]) / passed if passed > 0 else 0.0
        ram = float(self._process.memory_info().rss)
        self.peak_ram = max(self.peak_ram, ram)
        line = {
            "time": time.time(),
            "seconds": round(seconds, 3),
            "ram_gib": round(ram / GIB, 4),
            "answers": answers,
            "tokens": tokens,
            "tokens_per_second": round(rate, 2),
        }
        if torch.cuda.is_available():
            taken = float(torch.cuda.max_memory_allocated())
            self.peak_gpu = max(self.peak_gpu or 0.0, taken)
            line["gpu_gib"] = round(torch.cuda.memory_allocated() / GIB, 4)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._lines.append(line)
        self._written = seconds

    def draw(self) -> None:
        """Draw memory.png, in place of an older one; where matplotlib is missing, say so."""
        try:
            from trainer_core.answering.memory_plot import draw_memory
        except ImportError:
            log.warning("no memory.png, for matplotlib is missing: pip install matplotlib")
            return
        draw_memory(self._lines, self._picture)
