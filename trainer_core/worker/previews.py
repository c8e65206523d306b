"""A look at a dataset through a worker: what the Data screen asks, with typed answers. Light."""

import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from trainer_core.config.data_section import SplitName
from trainer_core.data.questions import AskPlace, AskReport, AskRow, AskSearch, Found, Overview
from trainer_core.data.row_view import RowView
from trainer_core.data.rows import Chunk
from trainer_core.data.sources.jsonl import LineRange
from trainer_core.data.sources.parquet import RowGroupPart
from trainer_core.errors import BackpropError
from trainer_core.files import remove_folder
from trainer_core.runs.folder import RunFolder
from trainer_core.worker.client import RunClient, start

CONNECT_SECONDS = 30.0

Answer = TypeVar("Answer")


class Preview:
    """A preview worker of our own. It and its folder end soon after the last client is gone."""

    def __init__(self, config: str) -> None:
        """Start one for `config` (YAML). Waits for the worker, so not where a key is waiting.

        Raises BackpropError if it does not start.
        """
        # Only the user may enter it: mkdtemp makes it with mode 0700.
        self.folder = RunFolder(Path(tempfile.mkdtemp(prefix="backprop-preview-")))
        try:
            self.folder.config.write_text(config, encoding="utf-8")
            start(self.folder, "preview")
        except BaseException:
            remove_folder(self.folder.path)
            raise
        self.client = RunClient(self.folder, "data screen")
        if not self.client.wait_connected(CONNECT_SECONDS):
            self.client.close()
            raise BackpropError(self.client.problem or "the preview's worker cannot be reached")

    def report(self) -> "Future[Overview]":
        """All that is known, as soon as the data was read to its end."""
        return self._ask(AskReport(), Overview.model_validate)

    def row(self, split: SplitName, index: int) -> "Future[RowView]":
        """A row of a split."""
        return self._ask(AskRow(split=split, index=index), RowView.model_validate)

    def place(self, row: int, chunk: Chunk | None = None, index: int = 0) -> "Future[RowView]":
        """A row by its number over the rows as read; a known `chunk` and the `index` in it make it
        quick before all were read."""
        if not isinstance(chunk, LineRange | RowGroupPart):
            chunk, index = None, 0
        return self._ask(AskPlace(row=row, chunk=chunk, index=index), RowView.model_validate)

    def search(self, split: SplitName, text: str, start: int) -> "Future[int | None]":
        """The first row from `start` on that holds `text`; None if there is none."""
        asked = AskSearch(split=split, text=text, start=start)
        return self._ask(asked, lambda answer: Found.model_validate(answer).index)

    def close(self) -> None:
        """Let go of the worker."""
        self.client.close()

    def _ask(
        self, question: BaseModel, parse: Callable[[dict[str, Any]], Answer]
    ) -> "Future[Answer]":
        typed: Future[Answer] = Future()

        def came(answer: "Future[dict[str, Any]]") -> None:
            try:
                typed.set_result(parse(answer.result()))
            except Exception as error:
                typed.set_exception(error)

        self.client.ask(question.model_dump()).add_done_callback(came)
        return typed
