"""Our own log lines as events. What libraries log goes to worker.log only."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from trainer_core.runs.events import Log
from trainer_core.runs.recorder import Recorder
from trainer_core.text import clean

MAX_MESSAGE = 4000
OURS = "trainer_core"


class _EventHandler(logging.Handler):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = clean(record.getMessage(), limit=MAX_MESSAGE)
            self._recorder.record(Log(level=record.levelname, message=message, logger=record.name))
        except Exception:
            self.handleError(record)


@contextmanager
def events_from_logging(recorder: Recorder) -> Iterator[None]:
    """While the block runs, log records of trainer_core become `log` events."""
    logger, handler = logging.getLogger(OURS), _EventHandler(recorder)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
