"""A chat template on trial: rendered first in a process that may neither take long nor grow large.

`python -m trainer_core.tokens.trial` reads one JSON object from stdin and prints what went wrong.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.problems import RowError
from trainer_core.errors import UserError
from trainer_core.tokens.chat_template import ChatTemplate
from trainer_core.tokens.compiled_template import HINT
from trainer_core.tokens.tokenizer import Tokenizer

SECONDS = 5
MEMORY = 256 << 20  # bytes beyond what the process has when it begins

_MADE_UP = Conversation(
    "a made-up conversation",
    (
        Turn("user", "Hello"),
        Turn("assistant", "Hello. What can I do?"),
        Turn("user", "Count to three."),
        Turn("assistant", "One, two, three."),
    ),
)


def try_template(tokenizer: Tokenizer, conversations: Sequence[Conversation]) -> None:
    """Render the longest and the shortest of `conversations`, and a made-up one.

    Raises UserError if the template takes too much time or memory. A conversation that it merely
    refuses is no reason to stop: that is said of each row.
    """
    tried = [talk for talk in conversations if talk.text is None]
    tried.sort(key=lambda talk: sum(len(turn.content) for turn in talk.turns))
    task = {
        "source": tokenizer.template,
        "bos": tokenizer.bos,
        "eos": tokenizer.eos,
        "talks": [asdict(talk) for talk in [_MADE_UP, *tried[:1], *tried[-1:]]],
    }
    command = [sys.executable, "-P", "-m", "trainer_core.tokens.trial"]
    text = json.dumps(task, default=dict)
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(
            f"the chat template took more than {SECONDS} s for one conversation", hint=HINT
        ) from None
    if done.returncode:
        said = done.stdout.strip() or "the chat template ended the process that tried it"
        raise UserError(said, hint=HINT)


class _Bare:
    """As much of a tokenizer as a template needs."""

    def __init__(self, bos: str, eos: str) -> None:
        self.bos, self.eos = bos, eos
        self.stop_ids = ()
        self.backend = None


def _main() -> int:
    task = json.load(sys.stdin)
    _bound_memory()
    try:
        template = ChatTemplate(task["source"], _Bare(task["bos"], task["eos"]))  # type: ignore[arg-type]
        for talk in task["talks"]:
            with suppress(RowError):
                template.render_with_spans(_conversation(talk))
    except UserError as error:
        print(error.message)
        return 1
    except MemoryError:
        print(f"the chat template takes more than {MEMORY >> 20} MiB of memory")
        return 1
    return 0


def _conversation(talk: dict[str, Any]) -> Conversation:
    turns = tuple(Turn(**turn) for turn in talk.pop("turns"))
    return Conversation(**{**talk, "turns": turns, "tools": tuple(talk["tools"])})


def _bound_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    with suppress(OSError, ValueError):
        with open("/proc/self/statm") as file:  # noqa: PTH123
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


if __name__ == "__main__":
    sys.exit(_main())
