"""A dataset that is open on the Data screen: its first rows at once, all of it from a worker.

What takes time happens in threads; what comes of it is delivered to the screen's own thread.
"""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from trainer_core.config.data_section import SplitName
from trainer_core.data.formats import LOOKED_AT, Detection, detect
from trainer_core.data.pages import Pages
from trainer_core.data.questions import Overview
from trainer_core.data.row_view import RowView, ShownTurn, shortened
from trainer_core.data.rows import Row
from trainer_core.data.sources import open_source
from trainer_core.errors import BackpropError, UserError
from trainer_core.runs.events import Failed, Progress
from trainer_core.worker.previews import Preview
from tui.opened_data import OpenedData, opened_data

SEARCHED_AT_ONCE = 500
PATIENCE_SECONDS = 0.25
LAST = 1 << 62


@dataclass(frozen=True, slots=True)
class Place:
    """Which row: of a split by its index there, or, without one, by its number as read."""

    split: SplitName | None
    index: int


class Watcher(Protocol):
    """Who looks at the data. Called in the screen's thread."""

    def session_changed(self) -> None:
        """More is known: of the first row, of all rows, or of what went wrong."""
        ...

    def row_came(self, view: RowView, as_read: bool) -> None:
        """A row that was wanted; `as_read` if these are its cells, whatever they mean."""
        ...

    def row_failed(self, reason: str) -> None:
        """A row that cannot be had."""
        ...

    def search_ended(self, index: int | None) -> None:
        """Where the text was found."""
        ...


class DataSession:
    """Opens the data at once; `want` rows in any order, only the newest wish counts."""

    def __init__(self, what: str, watcher: Watcher, deliver: Callable[..., object]) -> None:
        self.what = what
        self.opened: OpenedData | None = None
        self.overview: Overview | None = None
        self.pages: Pages | None = None
        self.detection: Detection | None = None
        self.progress: Progress | None = None
        self.problem = ""
        self._watcher = watcher
        self._deliver = deliver
        self._preview: Preview | None = None
        self._wanted: Place | None = None
        self._asked: Place | None = None
        self._early: Place | None = None
        self._searching = 0
        self._closed = False
        self._in_thread(self._open)

    def want(self, place: Place) -> None:
        """Get a row; what was wanted before and has not come yet is forgotten."""
        self._wanted = place
        self._early = self._early if self._early == place else None
        if place.split is None and self.overview is None:
            self._in_thread(self._read, place)
        elif self._asked is None:
            self._ask()

    def count(self, split: SplitName | None) -> int | None:
        """How many rows there are to move through, in a split or as read; None if not known yet."""
        if self.overview is not None:
            return self.overview.rows.get(split, 0) if split else self.overview.report.rows
        return self.pages.known if self.pages is not None and self.pages.complete else None

    def search(self, text: str, start: Place) -> None:
        """Find the first row from `start` on that holds `text`; a search before it is forgotten."""
        self._searching += 1
        mine = self._searching
        if start.split is None and self.pages is not None:
            self._in_thread(self._search_as_read, text, start.index, mine)
        elif self._preview is not None:
            answer = self._preview.search(start.split or "train", text, start.index)
            answer.add_done_callback(lambda found: self._tell(self._searched, mine, found))
        else:
            self._watcher.row_failed("there are no rows yet")

    def take_events(self, deadline: float) -> None:
        """What the worker says of its progress; for the screen's thread, until `deadline`."""
        for event in self._preview.client.take(deadline) if self._preview is not None else ():
            if isinstance(event, Progress):
                self.progress = event
            elif isinstance(event, Failed):
                self.problem = f"{event.message.rstrip('.')}. {event.hint}".strip()

    def close(self) -> None:
        """Let go of the data; the worker ends by itself."""
        self._closed = True
        if self._preview is not None:
            self._in_thread(self._preview.close)

    # --- in threads ------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self.opened = opened_data(self.what)
            if self.opened.source.hub is None:
                pages = Pages(open_source(self.opened.source))
                first = pages.rows(0, LOOKED_AT)
                self.pages = pages
                with suppress(UserError):  # the worker says it better
                    self.detection = detect(first, self.opened.source.columns)
            self._tell(self._watcher.session_changed)
            preview = Preview(self.opened.config)
        except (BackpropError, OSError) as error:
            self.problem = str(error)
            self._tell(self._watcher.session_changed)
            return
        self._preview = preview
        if self._closed:
            preview.close()
            return
        self._tell(self._watcher.session_changed)
        preview.report().add_done_callback(lambda report: self._tell(self._know, report))

    def _read(self, place: Place) -> None:
        """A row before all is prepared: from the worker, or, where that takes too long to keep a
        person waiting, first the cells as they stand in the file."""
        pages, preview = self.pages, self._preview
        try:
            while pages and pages.known <= place.index and not pages.complete:
                if self._wanted is not place:
                    return
                pages.find_more()
            number = min(place.index, max(0, pages.known - 1)) if pages else place.index
            if preview is not None and self._wanted is place:
                known = pages.place(number) if pages and pages.known else ()
                answer = preview.place(number, *known)
                answer.add_done_callback(partial(self._answered, place))
                wait([answer], PATIENCE_SECONDS)
                if answer.done() and not answer.exception():
                    return
                if answer.done() and pages is None:
                    self._tell(self._watcher.row_failed, str(answer.exception()))
            if pages is not None and self._wanted is place:
                for row in pages.rows(number, 1):
                    self._tell(self._came_as_read, place, as_read(row, number))
        except BackpropError as error:
            self._tell(self._watcher.row_failed, str(error))

    def _answered(self, place: Place, answer: "Future[RowView]") -> None:
        if not answer.exception():
            self._tell(self._came_early, place, answer.result())

    def _search_as_read(self, text: str, start: int, mine: int) -> None:
        wanted, found, pages = text.casefold(), None, self.pages
        try:
            while pages is not None and found is None and mine == self._searching:
                rows = pages.rows(start, SEARCHED_AT_ONCE)
                found = next((n for n, row in enumerate(rows, start) if holds(row, wanted)), None)
                start += len(rows)
                if not rows or self._closed:
                    break
        except BackpropError as error:
            self._tell(self._watcher.row_failed, str(error))
        self._tell(self._found, mine, found)

    def _in_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, name="data session", daemon=True).start()

    def _tell(self, hear: Callable[..., None], *arguments: Any) -> None:
        if not self._closed:
            self._deliver(hear, *arguments)

    # --- in the screen's thread ------------------------------------------------------------------

    def _ask(self) -> None:
        place, preview = self._wanted, self._preview
        if place is None or preview is None:
            return
        self._asked = place
        index = place.index
        answer = preview.place(index) if place.split is None else preview.row(place.split, index)
        answer.add_done_callback(lambda view: self._tell(self._came, place, view))

    def _came(self, place: Place, answer: "Future[RowView]") -> None:
        self._asked = None
        error = answer.exception()
        if error is not None:
            self._watcher.row_failed(str(error))
        else:
            self._watcher.row_came(answer.result(), False)
        if self._wanted != place:
            self._ask()

    def _came_as_read(self, place: Place, view: RowView) -> None:
        if self._wanted is place and self._early != place:
            self._watcher.row_came(view, True)

    def _came_early(self, place: Place, view: RowView) -> None:
        if self._wanted is place:
            self._early = place
            self._watcher.row_came(view, False)

    def _know(self, report: "Future[Overview]") -> None:
        self.take_events(time.monotonic() + 0.05)
        error = report.exception()
        if error is None:
            self.overview = report.result()
        else:
            self.problem = self.problem or str(error)
        self._watcher.session_changed()

    def _searched(self, mine: int, answer: "Future[int | None]") -> None:
        error = answer.exception()
        if error is None:
            self._found(mine, answer.result())
        elif mine == self._searching:
            self._watcher.row_failed(str(error))

    def _found(self, mine: int, index: int | None) -> None:
        if mine == self._searching:
            self._watcher.search_ended(index)


def as_read(row: Row, number: int) -> RowView:
    """A row whose meaning is not known yet: its cells under their keys."""
    cells = [
        ShownTurn(role=str(key), content=_cell(value), trained=False)
        for key, value in row.data.items()
    ]
    problems = [row.problem.message] if row.problem is not None else []
    return shortened(
        RowView(index=number, row=number, where=row.where, turns=cells, problems=problems)
    )


def holds(row: Row, wanted: str) -> bool:
    """Whether a cell of the row holds the text, which is in its case-folded form."""
    return any(wanted in _cell(value).casefold() for value in row.data.values())


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=1, default=str)
