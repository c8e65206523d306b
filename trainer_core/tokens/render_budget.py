"""How much one rendering of a chat template may make, and how long it may take."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from jinja2.utils import Namespace

# A value may be this many times as large as what goes in, and this much larger besides.
GROWTH, ROOM = 16, 1 << 20
# All values of a rendering together, in such values.
VALUES = 64
# Of the thread's own time, so that a loaded machine changes nothing.
CPU_SECONDS = 4.0
# So many steps take far less than a second; asking for the time takes about as long as one.
STEPS_UNASKED = 16
# In a number that it makes: none needs 64 bits.
MAX_NUMBER = 10**18
# A number or a text takes this much besides its characters.
ITEM = 16

Value = TypeVar("Value")


class TooMuchError(Exception):
    """A template asks for more than any chat template needs."""


class RenderBudget:
    """What is left for one rendering of `values`. What a template makes is measured when it is
    made, a list that holds another twice as one that holds two, so that what it writes in the end
    is known before it is written."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._limit = ROOM
        self._made = 0
        self._whole = False
        self._steps = 0
        self._ends = time.thread_time() + CPU_SECONDS

    def step(self) -> None:
        """One more turn of a loop, or one more call. Raises TooMuchError after too long a time."""
        self._steps += 1
        if self._steps % STEPS_UNASKED == 0 and time.thread_time() > self._ends:
            raise TooMuchError(f"takes more than {CPU_SECONDS:.0f} s for one conversation")

    def steps(self, items: Any) -> Iterator[Any]:
        """The items of a loop."""
        for item in items:
            self.step()
            yield item

    def made(self, value: Value) -> Value:
        """A value that the template has made. Raises TooMuchError if it is too large."""
        if isinstance(value, str):
            self.make(len(value))
        elif isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise TooMuchError("makes too large a number")
        elif isinstance(value, list | tuple | dict):
            size = size_of(value, self._limit)
            self.make(size if size <= self._limit else size_of(value, self._whole_limit()))
        return value

    def make(self, size: int) -> None:
        """The template is about to make, or has made, a value of `size` characters."""
        self._made += size
        if size > self._limit or self._made > VALUES * self._limit:
            limit = self._whole_limit()
            if size > limit or self._made > VALUES * limit:
                raise TooMuchError(f"makes more than {limit:,} characters of one conversation")

    def _whole_limit(self) -> int:
        # The values are measured only where it matters, which is for few.
        if not self._whole:
            self._whole = True
            self._limit = ROOM + GROWTH * size_of(self._values)
        return self._limit


def size_of(value: Any, limit: int | None = None) -> int:
    """About how many characters `value` has when it is written, lists in lists and all; as soon as
    that is more than `limit`, it counts no further.

    Raises TooMuchError for a namespace in another value, which could be made to hold itself.
    """
    size, left = 0, [value]
    while left and (limit is None or size + len(left) <= limit):
        one = left.pop()
        size += ITEM
        if isinstance(one, str):
            size += len(one)
        elif isinstance(one, dict):
            size += sum(len(key) for key in one if isinstance(key, str))
            left.extend(one.values())
        elif isinstance(one, list | tuple):
            left.extend(one)
        elif isinstance(one, Namespace):
            raise TooMuchError("puts a namespace into another value")
    return size + len(left)
