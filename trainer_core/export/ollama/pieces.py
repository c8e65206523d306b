"""What a chat template writes around each role's words, found by rendering conversations whose
words are marks. Nothing here knows a family of templates by name."""

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trainer_core.data.conversations import Turn
from trainer_core.data.problems import RowError
from trainer_core.tokens.renderer import Renderer

Place = Literal["own", "first", "last", "none"]


class NoPiecesError(Exception):
    """A template that does not write the same around every turn; the message says what differs."""


@dataclass(frozen=True)
class SystemPrompt:
    """Where a system prompt goes (a turn of its `own`, inside the `first` user turn or the `last`,
    or nowhere), what stands around it, and the prompt that is written where none is given."""

    place: Place
    opening: str = ""
    closing: str = ""
    default: str = ""


@dataclass(frozen=True)
class Pieces:
    """What stands around the words, without the BOS token that the runtime puts before them.

    `lead` comes before everything; where a system prompt has a turn of its own, only without one.
    `prompt` is what begins the answer to come.
    """

    lead: str
    system: SystemPrompt
    first_user_open: str
    user_open: str
    user_close: str
    answer_open: str
    answer_close: str
    prompt: str


def find_pieces(template: Renderer, bos: str) -> Pieces:
    """Take a template apart. `bos` is the token that the runtime adds to every prompt, or empty.

    Raises NoPiecesError; UserError if it is no template, or takes too much.
    """
    try:
        return _Probe(template, bos).pieces()
    except RowError as error:
        raise NoPiecesError(error.message) from None


class _Probe:
    def __init__(self, template: Renderer, bos: str) -> None:
        self._template, self._bos = template, bos
        # Words that no template writes by itself, and none of them within another.
        nonce = secrets.token_hex(6)
        self._system = f"S{nonce}S"
        self._asked = [f"Q{nonce}{letter}" for letter in "UVW"]
        self._answered = [f"A{nonce}{letter}" for letter in "XY"]

    def pieces(self) -> Pieces:
        around = self._around(system=False, turns=5, prompt=True)
        start, asked, answered, end = around[0], around[1], around[2], around[-1]
        if around[3:5] != [asked, answered]:
            raise NoPiecesError("it does not write the same around each turn")
        user_close = self._last(turns=1)
        if not (asked.startswith(user_close) and end.startswith(user_close)):
            user_close = _common(asked, end)
        answer_close = self._answer_close(start, answered)
        user_open = answered.removeprefix(answer_close)
        # Some write BOS before each user turn; the first is the runtime's.
        first_open = user_open
        if self._bos and not start.startswith(user_open) and not start.endswith(user_open):
            first_open = user_open.removeprefix(self._bos)
        lead, system = self._system_prompt(start, first_open, user_open)
        return Pieces(
            lead=lead,
            system=system,
            first_user_open=first_open,
            user_open=user_open,
            user_close=user_close,
            answer_open=asked.removeprefix(user_close),
            answer_close=answer_close,
            prompt=end.removeprefix(user_close),
        )

    def _system_prompt(
        self, start: str, first_open: str, user_open: str
    ) -> tuple[str, SystemPrompt]:
        """The lead, and where the system prompt goes. `start` is what comes before the first
        question where there is no system prompt."""
        try:
            before, after = self._around(system=True, turns=5, prompt=True)[:2]
        except (RowError, NoPiecesError):
            return _without(start, first_open), self._elsewhere(user_open)
        for opening in (user_open, first_open):
            if after.endswith(opening):
                lead, closing = _without(start, first_open), _without(after, opening)
                default = _between(lead, before, closing)
                return "" if default else lead, SystemPrompt("own", before, closing, default)
        if start.endswith(first_open) and before.startswith(start):
            inside = SystemPrompt("first", before[len(start) :], after)
            return _without(start, first_open), inside
        default = _between(start, before, after)
        if before.startswith(first_open) and default:
            return "", SystemPrompt("first", before[len(first_open) :], after, default)
        raise NoPiecesError("it writes the system prompt in a place that cannot be followed")

    def _elsewhere(self, user_open: str) -> SystemPrompt:
        """Where the system prompt goes if not before the first question."""
        talk = self._talk(5)
        try:
            text = self._text([("system", self._system), *talk], prompt=True)
        except RowError:
            return SystemPrompt("none")
        if self._system not in text:
            return SystemPrompt("none")
        words = [word for _, word in talk]
        around = _split(text, [*words[:4], self._system, words[4]])
        if not user_open:
            raise NoPiecesError("it writes nothing before a question")
        # Before the last question: what ends the answer, what opens the turn, and its own opening.
        head, found, opening = around[4].partition(user_open)
        if not found or head != around[2].removesuffix(user_open):
            raise NoPiecesError("it writes the system prompt in a place that cannot be followed")
        return SystemPrompt("last", opening, around[5])

    def _answer_close(self, start: str, answered: str) -> str:
        """What ends an answer; `answered` is what stands between one and the next question. Some
        write more after the last of all, such as an end of text."""
        last = self._last(turns=2)
        if answered.startswith(last):
            return last
        if start and answered.endswith(start):
            return answered[: len(answered) - len(start)]
        raise NoPiecesError("it ends the last answer in another way than those before")

    def _last(self, turns: int) -> str:
        """What follows the last of some turns, where no answer is to come."""
        return self._around(system=False, turns=turns, prompt=False)[-1]

    def _around(self, *, system: bool, turns: int, prompt: bool) -> list[str]:
        """What is written around the words of a conversation: one text more than there are words.

        Raises RowError if the template refuses it.
        """
        talk = ([("system", self._system)] if system else []) + self._talk(turns)
        return _split(self._text(talk, prompt=prompt), [word for _, word in talk])

    def _talk(self, turns: int) -> list[tuple[str, str]]:
        return [
            ("assistant", self._answered[n // 2]) if n % 2 else ("user", self._asked[n // 2])
            for n in range(turns)
        ]

    def _text(self, talk: Sequence[tuple[str, str]], *, prompt: bool) -> str:
        text = self._template.render([Turn(*said) for said in talk], prompt=prompt)
        return text.removeprefix(self._bos)


def _split(text: str, words: Sequence[str]) -> list[str]:
    around = []
    for word in words:
        before, found, text = text.partition(word)
        if not found or word in text:
            raise NoPiecesError("it does not write each turn's words once, and in their order")
        around.append(before)
    return [*around, text]


def _without(text: str, end: str) -> str:
    """`text` without what it ends in."""
    if not text.endswith(end):
        raise NoPiecesError("it opens the first question in another way than later ones")
    return text[: len(text) - len(end)]


def _common(left: str, right: str) -> str:
    """What both begin with."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    return "".join(character for character, _ in same)


def _between(text: str, before: str, after: str) -> str:
    """What stands between two texts, if `text` begins and ends with them."""
    fits = text.startswith(before) and text.endswith(after)
    return text[len(before) : len(text) - len(after)] if fits else ""
