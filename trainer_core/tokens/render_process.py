"""The process in which a chat template runs, with so much memory and so much time and no more.

`python -m trainer_core.tokens.render_process` reads JSON lines from stdin and answers each on
stdout; tokens/renderer.py is the other side. A template may do there whatever Jinja's sandbox lets
it: the system holds the bounds, so that there is no way past them in a single long call of Python
either. Where one is reached, the process says so or is ended.
"""

import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.problems import RowError
from trainer_core.errors import UserError
from trainer_core.tokens.chat_template import ChatTemplate

if sys.platform != "win32":
    import resource

# What a rendering may need, and write, for each byte that goes in.
MEMORY_A_BYTE, WRITTEN_A_BYTE = 32, 16
# Characters that it may write besides.
WRITTEN = 1 << 20


def main() -> None:
    """Answer requests until there are no more. The first line is the template and the bounds; each
    request is a line that says how many follow and of how many bytes, and then those."""
    lines, replies = sys.stdin.buffer, _own_stdout()
    given = json.loads(lines.readline())
    bounds = _Bounds(given.pop("seconds"), given.pop("memory"))
    bounds.allow(0)
    made: list[ChatTemplate] = []

    def compiled() -> dict[str, Any]:
        made.append(ChatTemplate(**given))
        return {"text": "", "spans": []}

    replies.write(_answer(bounds, compiled))
    replies.flush()
    while head := lines.readline():
        count, size = json.loads(head)
        bounds.allow(size)
        for line in [lines.readline() for _ in range(count)]:
            replies.write(_answer(bounds, partial(_rendered, made[0], line)))
            replies.flush()


def _answer(bounds: "_Bounds", work: Callable[[], dict[str, Any]]) -> bytes:
    try:
        with bounds.timed():
            return _line(work())
    except RowError as error:
        return _line({"row_error": [error.kind, error.message, error.where, error.hint]})
    except UserError as error:
        return _line({"error": error.message})
    except MemoryError:
        return _line({"error": "the chat template takes too much memory"})


def _rendered(template: ChatTemplate, line: bytes) -> dict[str, Any]:
    asked = json.loads(line.decode("utf-8", "surrogatepass"))
    talk = _conversation(asked["talk"])
    if "train_on" in asked:
        text, spans = template.render_with_spans(talk, asked["train_on"])
    else:
        text, spans = template.render(talk.turns, prompt=asked["prompt"], tools=talk.tools), []
    most = WRITTEN + WRITTEN_A_BYTE * len(line)
    if len(text) > most:
        raise UserError(f"the chat template writes more than {most:,} characters")
    return {"text": text, "spans": spans}


def _line(reply: dict[str, Any]) -> bytes:
    text = json.dumps(reply, ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _conversation(talk: dict[str, Any]) -> Conversation:
    turns = tuple(Turn(*turn) for turn in talk.pop("turns"))
    return Conversation(turns=turns, **{**talk, "tools": tuple(talk["tools"])})


def _own_stdout() -> BinaryIO:
    """Stdout for the replies alone: whatever else prints goes where stderr goes."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


class _Bounds:
    """What the system lets this process have."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds = seconds
        self._most = _address_space() + memory

    def allow(self, size: int) -> None:
        """Let it have what requests of `size` bytes need. Linux holds it; where nothing does, the
        time bounds the memory too, loosely."""
        if sys.platform == "linux":
            most = self._most + MEMORY_A_BYTE * size
            with suppress(OSError, ValueError):  # a lower limit than ours holds already
                resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

    @contextmanager
    def timed(self) -> Iterator[None]:
        """End this process if what is done within takes longer: of its own time, so that a loaded
        machine changes nothing; on Windows, by the clock."""
        if sys.platform == "win32":
            faulthandler.dump_traceback_later(self._seconds, exit=True)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
        else:
            signal.setitimer(signal.ITIMER_PROF, self._seconds)
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)


def _address_space() -> int:
    """Bytes that this process has mapped; 0 where nothing would hold it to a number of them."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return 0


if __name__ == "__main__":
    main()
