"""Rows of a run's data, to be asked on the Try screen: a preview worker knows the split."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from trainer_core.data.questions import RowPrompt
from trainer_core.errors import BackpropError
from trainer_core.worker.previews import Preview
from tui.opened_data import opened_data


class TryRows:
    """Rows one by one, of what the run does not train on, if there is any. `came` is called with a
    row, or why there is none; only the newest wish counts."""

    def __init__(
        self,
        config: Path,
        deliver: Callable[..., object],
        came: Callable[[RowPrompt | None, str], None],
    ) -> None:
        self._config = config
        self._deliver = deliver
        self._came = came
        self._preview: Preview | None = None
        self._opening = False
        self._wanted: int | None = None
        self._number = 0

    def want(self, index: int) -> None:
        """Get a row by its number in the split, from 0; -1 is the last."""
        self._wanted = index
        self._number += 1
        if self._preview is not None and not self._preview.client.ended:
            self._ask(self._preview)
        elif not self._opening:
            self._opening = True
            threading.Thread(target=self._open, name="try rows", daemon=True).start()

    def close(self) -> None:
        """Let go of the worker; the next wish starts another."""
        preview, self._preview, self._wanted = self._preview, None, None
        self._number += 1
        if preview is not None:
            threading.Thread(target=preview.close, name="try rows", daemon=True).start()

    def _open(self) -> None:
        try:
            preview = Preview(opened_data(str(self._config)).config)
        except (BackpropError, OSError) as error:
            self._deliver(self._opened, None, str(error))
        else:
            self._deliver(self._opened, preview)

    def _opened(self, preview: Preview | None, problem: str = "") -> None:
        self._opening, self._preview = False, preview
        if self._wanted is None:
            self.close()
        elif preview is None:
            self._came(None, problem)
        else:
            self._ask(preview)

    def _ask(self, preview: Preview) -> None:
        number = self._number

        def answered(answer: "Future[Any]") -> None:
            self._deliver(self._answered, number, answer)

        preview.prompt(self._wanted or 0).add_done_callback(answered)

    def _answered(self, number: int, answer: "Future[RowPrompt]") -> None:
        if number != self._number:
            return
        error = answer.exception()
        if error is None:
            self._came(answer.result(), "")
        else:
            self._came(None, str(error))
