"""A look at a dataset through a worker: what the screens ask, with typed answers. Light."""

from concurrent.futures import Future

from trainer_core.config.data_section import SplitName
from trainer_core.data.questions import (
    AskPlace,
    AskPrompt,
    AskReport,
    AskRow,
    AskSearch,
    Found,
    Overview,
    RowPrompt,
)
from trainer_core.data.row_view import RowView
from trainer_core.data.rows import Chunk
from trainer_core.data.sources.jsonl import LineRange
from trainer_core.data.sources.parquet import RowGroupPart
from trainer_core.runs.folder import CONFIG_NAME
from trainer_core.worker.temporary import TemporaryWorker


class Preview(TemporaryWorker):
    """A preview worker of our own. It and its folder end soon after the last client is gone."""

    def __init__(self, config: str) -> None:
        """Start one for `config` (YAML). Waits for the worker, so not where a key is waiting.

        Raises BackpropError if it does not start.
        """
        super().__init__("preview", CONFIG_NAME, config)

    def report(self) -> "Future[Overview]":
        """All that is known, as soon as the data was read to its end."""
        return self.ask(AskReport(), Overview.model_validate)

    def row(self, split: SplitName, index: int) -> "Future[RowView]":
        """A row of a split."""
        return self.ask(AskRow(split=split, index=index), RowView.model_validate)

    def place(self, row: int, chunk: Chunk | None = None, index: int = 0) -> "Future[RowView]":
        """A row by its number over the rows as read; a known `chunk` and the `index` in it make it
        quick before all were read."""
        if not isinstance(chunk, LineRange | RowGroupPart):
            chunk, index = None, 0
        return self.ask(AskPlace(row=row, chunk=chunk, index=index), RowView.model_validate)

    def search(self, split: SplitName, text: str, start: int) -> "Future[int | None]":
        """The first row from `start` on that holds `text`; None if there is none."""
        asked = AskSearch(split=split, text=text, start=start)
        return self.ask(asked, lambda answer: Found.model_validate(answer).index)

    def prompt(self, index: int, split: SplitName | None = None) -> "Future[RowPrompt]":
        """What a row asks, and the answer that is expected; of what is not trained on, if no split
        is named."""
        return self.ask(AskPrompt(split=split, index=index), RowPrompt.model_validate)
