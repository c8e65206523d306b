"""A model to talk to, in a worker: what the Try screen asks, with typed answers. Light."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from trainer_core.config.predict_section import ModelRequest
from trainer_core.data.chat import Hush, Said, Say
from trainer_core.worker.launching import REQUEST, asked_source
from trainer_core.worker.temporary import TemporaryWorker


class Chat(TemporaryWorker):
    """A chat worker of our own. It and its folder end soon after the last client is gone."""

    def __init__(self, request: ModelRequest) -> None:
        """Start one, which begins to load what `request` names. Waits for the worker, so not where
        a key is waiting.

        Raises UserError where there is nothing to ask, BackpropError if it does not start.
        """
        source = str(asked_source(request.source, base=request.base))
        request = request.model_copy(update={"source": source})
        super().__init__("chat", REQUEST, request.model_dump_json())

    def say(self, words: Say, hear: Callable[[Said], None] = lambda _: None) -> "Future[Said]":
        """The answer to the last turn, as soon as it is whole; `hear` is given what there is of it
        so far."""
        return self.ask(words, Said.model_validate, hear)

    def hush(self) -> "Future[Any]":
        """End the answer that is being given."""
        return self.ask(Hush(), Said.model_validate)
