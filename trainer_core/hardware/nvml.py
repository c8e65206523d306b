"""Asking NVML: what a device does not tell is None, and a device that is gone is remembered."""

from collections.abc import Callable
from typing import Any

import pynvml

# Nothing more comes from such a device before it was reset.
_GONE = frozenset({pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED})


class Asking:
    """Asks one device. `lost` says that a question was answered with: it fell off the bus, or it
    must be reset."""

    def __init__(self) -> None:
        self.lost = False

    def __call__(self, question: Callable[[], Any]) -> Any:
        """The answer; None where there is none."""
        try:
            return question()
        except pynvml.NVMLError as error:
            self.lost = self.lost or error.value in _GONE
            return None


def ask(question: Callable[[], Any]) -> Any:
    """The answer to one question; None where there is none."""
    return Asking()(question)


def words(value: str | bytes) -> str:
    """A name as NVML says it."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
