"""What memory a job took while it worked, and how fast it was: a file of numbers, and a picture."""

import json
import logging
import threading
import time
from pathlib import Path
from typing import Self

import psutil
import torch

from trainer_core.engine.memory import resident_peak

log = logging.getLogger(__name__)

# Between two lines.
SECONDS = 0.5
GIB = 1 << 30


class MemoryLog:
    """memory.jsonl in a job's folder. While the block runs, a thread writes a line now and then:
    seconds since it began, RAM and GPU memory of this process in GiB, answers and tokens so far, of
    which whoever works tells, and tokens a second since the line before."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "memory.jsonl"
        self._picture = folder / "memory.png"
        self._process = psutil.Process()
        self._lines: list[dict[str, float]] = []
        self._began = 0.0
        self._tokens = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._unwritten = False
        self.answers = 0
        self.peak_ram = 0.0
        self.peak_gpu: float | None = None

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._take()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._take()

    def count(self, tokens: int) -> None:
        """There are so many tokens now."""
        self._tokens = tokens

    def draw(self) -> None:
        """Draw memory.png, in place of an older one; where matplotlib is missing, say so."""
        try:
            from trainer_core.answering.memory_plot import draw_memory
        except ImportError:
            log.warning("no memory.png, for matplotlib is missing: pip install matplotlib")
            return
        draw_memory(self._lines, self._picture)

    def _run(self) -> None:
        while not self._ended.wait(SECONDS):
            self._take()

    def _take(self) -> None:
        """The next line."""
        seconds, tokens = time.monotonic() - self._began, self._tokens
        ram = float(self._process.memory_info().rss)
        self.peak_ram = max(self.peak_ram, ram, float(resident_peak()))
        line = {
            "time": time.time(),
            "seconds": round(seconds, 3),
            "ram_gib": round(ram / GIB, 4),
            "answers": self.answers,
            "tokens": tokens,
            "tokens_per_second": round(self._rate(seconds, tokens), 2),
        }
        if torch.cuda.is_available():
            self.peak_gpu = float(torch.cuda.max_memory_allocated())
            line["gpu_gib"] = round(torch.cuda.memory_allocated() / GIB, 4)
        self._lines.append(line)
        self._write(line)

    def _rate(self, seconds: float, tokens: int) -> float:
        """Tokens a second since the line before; the last line may follow at once, and a moment has
        no rate, so it looks further back."""
        before = (line for line in reversed(self._lines) if seconds - line["seconds"] > SECONDS / 2)
        since = next(before, None)
        if since is None:
            return 0.0
        return max(0.0, tokens - since["tokens"]) / (seconds - since["seconds"])

    def _write(self, line: dict[str, float]) -> None:
        """A line that finds no room is no reason to end the work."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            if not self._unwritten:
                log.warning("memory.jsonl is not whole: %s", error.strerror)
            self._unwritten = True
