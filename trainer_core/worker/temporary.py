"""A worker of our own that only answers us: it and its folder end soon after its last client."""

import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from trainer_core.errors import BackpropError
from trainer_core.files import remove_folder
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import is_alive
from trainer_core.worker.client import RunClient, start

CONNECT_SECONDS = 30.0

Answer = TypeVar("Answer")


class TemporaryWorker:
    """Starts a job of a `kind` whose folder holds `content` in a file called `name`. Waits for it,
    so not where a key is waiting.

    Raises BackpropError if it does not start.
    """

    def __init__(self, kind: str, name: str, content: str) -> None:
        self._kind = kind
        # Only the user may enter it: mkdtemp makes it with mode 0700.
        self.folder = RunFolder(Path(tempfile.mkdtemp(prefix=f"backprop-{kind}-")))
        try:
            (self.folder.path / name).write_text(content, encoding="utf-8")
            start(self.folder, kind)
        except BaseException:
            remove_folder(self.folder.path)
            raise
        self.client = RunClient(self.folder, "dashboard")
        if not self.client.wait_connected(CONNECT_SECONDS):
            self.client.close()
            raise BackpropError(
                self.client.problem or f"the {kind}'s worker cannot be reached",
            )

    def return_to(self) -> bool:
        """After `close`: take hold of the worker again, if it is still there."""
        if not is_alive(self.folder):
            return False
        client = RunClient(self.folder, "dashboard")
        if not client.wait_connected(CONNECT_SECONDS):
            client.close()
            return False
        self.client = client
        return True

    def close(self) -> None:
        """Let go of the worker."""
        self.client.close()

    def ask(
        self,
        question: BaseModel,
        parse: Callable[[dict[str, Any]], Answer],
        hear: Callable[[Answer], None] = lambda _: None,
    ) -> "Future[Answer]":
        """Put a question to it, with typed answers; `hear` is given what is known so far."""
        typed: Future[Answer] = Future()

        def came(answer: "Future[dict[str, Any]]") -> None:
            try:
                typed.set_result(parse(answer.result()))
            except Exception as error:
                typed.set_exception(error)

        asked = question.model_dump()
        self.client.ask(asked, lambda part: hear(parse(part))).add_done_callback(came)
        return typed
