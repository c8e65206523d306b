"""Conversations as text, rendered by a process of its own (tokens/render_process.py): a chat
template is a program that came with a model, and may neither take long nor grow large."""

import json
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, cast

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.problems import RowError
from trainer_core.errors import BackpropError, UserError
from trainer_core.tokens.chat_template import Spans, TrainOn
from trainer_core.tokens.compiled_template import HINT
from trainer_core.tokens.tokenizer import Tokenizer

# For one conversation: of the process's own time, and beyond what the process has when it begins
# and what long conversations need.
SECONDS = 4.0
MEMORY = 256 << 20  # bytes

Rendered = tuple[str, Spans]
if sys.platform == "win32":
    _TIMED_OUT = 1
else:
    _TIMED_OUT = -signal.SIGPROF


class Renderer:
    """A model's chat template. Its process starts with the first use, and ends with this object or
    after a template took too much; the next use starts another."""

    def __init__(self, source: str, bos: str, eos: str, stops: Sequence[str] = ()) -> None:
        """`stops` are the tokens that end an answer."""
        self._given = {"source": source, "bos": bos, "eos": eos, "stops": list(stops)}
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def render(
        self,
        turns: Sequence[Turn],
        *,
        prompt: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """The conversation as text; with `prompt`, up to where the assistant begins to write.

        Raises RowError if the template refuses it; UserError if it is no template, or takes too
        much.
        """
        talk = Conversation("", tuple(turns), tools=tuple(tools))
        (rendered,) = self._ask([talk], {"prompt": prompt})
        if isinstance(rendered, RowError):
            raise rendered
        return rendered[0]

    def render_with_spans(
        self, conversations: Sequence[Conversation], train_on: TrainOn = "all"
    ) -> list[Rendered | RowError]:
        """Each conversation as text with the [start, end) characters of what the assistant wrote
        and is trained; or why the template refuses it.

        Raises UserError if it is no template, or takes too much.
        """
        return self._ask(conversations, {"train_on": train_on})

    def _ask(self, talks: Sequence[Conversation], how: dict[str, Any]) -> list[Rendered | RowError]:
        lines = [_line({**how, "talk": _plain(talk)}) for talk in talks]
        head = _line([len(lines), sum(map(len, lines))])
        with self._lock:
            try:
                process = self._process or self._started()
                process.send(head + b"".join(lines))
                return [process.rendered(talk.where) for talk in talks]
            except BaseException:  # what was not read yet would be taken for the next answer
                if self._process is not None:
                    self._process.end()
                self._process = None
                raise

    def _started(self) -> "_Process":
        self._process = process = _Process()
        weakref.finalize(self, process.end)
        process.send(_line({**self._given, "seconds": SECONDS, "memory": MEMORY}))
        process.rendered("")  # whether it is a template
        return process


def renderer_of(source: str, tokenizer: Tokenizer) -> Renderer:
    """That of a template and the tokenizer that goes with it."""
    stops = (tokenizer.backend.id_to_token(token) for token in tokenizer.stop_ids)
    return Renderer(source, tokenizer.bos, tokenizer.eos, [stop for stop in stops if stop])


class _Process:
    """In a session of its own: a signal to the group of this process is not for it, and it ends
    when its stdin does."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "trainer_core.tokens.render_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._requests = cast(BinaryIO, self._popen.stdin)
        self._replies = cast(BinaryIO, self._popen.stdout)

    def send(self, lines: bytes) -> None:
        """Write what it reads."""
        with suppress(BrokenPipeError):  # it has ended: what is read next says how
            self._requests.write(lines)
            self._requests.flush()

    def rendered(self, where: str) -> Rendered | RowError:
        """The next answer. Raises UserError; BackpropError if another ended this process."""
        line = self._replies.readline()
        if not line.endswith(b"\n"):
            raise self._fate(where)
        reply = json.loads(line.decode("utf-8", "surrogatepass"))
        if "error" in reply:
            raise UserError(reply["error"], where=where, hint=HINT)
        if "row_error" in reply:
            kind, message, place, hint = reply["row_error"]
            return RowError(kind, message, where=place, hint=hint)
        return reply["text"], [(start, end) for start, end in reply["spans"]]

    def _fate(self, where: str) -> BackpropError:
        status = self._popen.wait()
        if status == -9:
            return BackpropError(
                "the process that renders the chat template was killed, most likely for want of "
                "memory",
                hint="Make room, and run it again.",
            )
        how = (
            f"takes more than {SECONDS:g} s"
            if status == _TIMED_OUT
            else f"ended the process that it ran in (status {status})"
        )
        return UserError(f"the chat template {how}", where=where, hint=HINT)

    def end(self) -> None:
        """End it, whatever it does; once more does no harm."""
        self._popen.kill()
        self._popen.wait()
        self._replies.close()
        with suppress(BrokenPipeError):  # what it did not read
            self._requests.close()


def _plain(talk: Conversation) -> dict[str, Any]:
    return {
        "where": talk.where,
        "turns": [[turn.role, turn.content, turn.extra, turn.trained] for turn in talk.turns],
        "pair": talk.pair,
        "tools": talk.tools,
        "text": talk.text,
        "templated": talk.templated,
    }


def _line(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, default=_in_json)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def _in_json(value: Any) -> Any:
    """What JSON has no form for, as a template would write it."""
    return dict(value) if isinstance(value, Mapping) else str(value)
