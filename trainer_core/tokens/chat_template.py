"""Chat templates: a conversation as the text a model was trained on, and what of it the assistant
wrote."""

import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.problems import RowError
from trainer_core.tokens.compiled_template import HINT, CompiledTemplate

Spans = list[tuple[int, int]]
TrainOn = Literal["all", "last"]
# A mark such as <|end|> right before another: the first ends what came before.
_MARK_BEFORE_MARK = re.compile(r"<[|｜][^<>|｜]+[|｜]>(?=<[|｜])")


class ChatTemplate:
    """A model's chat template: conversations as text, and which of it the assistant wrote."""

    def __init__(self, source: str, bos: str, eos: str, stops: Sequence[str] = ()) -> None:
        """`stops` are the tokens that end an answer. Raises UserError if it is no template."""
        self._compiled = CompiledTemplate(source, bos, eos)
        self._render = self._compiled.render
        # Marks around contents that no data can hold.
        nonce = secrets.token_hex(8)
        self._before, self._after = f"\x01<{nonce}\x01", f"\x01{nonce}>\x01"
        self._stops = tuple(stops)

    def render(
        self,
        turns: Sequence[Turn],
        *,
        prompt: bool = False,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """The conversation as text; with `prompt`, up to where the assistant begins to write.

        Raises RowError if the template refuses it.
        """
        messages = [_message(turn) for turn in turns]
        return self._compiled.unmarked(self._render(messages, tools, prompt))

    def render_with_spans(
        self, conversation: Conversation, train_on: TrainOn = "all"
    ) -> tuple[str, Spans]:
        """The conversation as text, and the [start, end) characters of each trained turn of the
        assistant with the mark that ends it.

        Raises RowError if the template refuses the conversation, or if what the assistant wrote
        cannot be told from its rendering.
        """
        try:
            if conversation.text is not None:
                return self._text_spans(conversation)
            text, spans = self._turn_spans(conversation)
        except RowError as error:
            if error.where:
                raise
            raise RowError(
                error.kind, error.message, where=conversation.where, hint=error.hint
            ) from None
        turns = [turn for turn in conversation.turns if turn.role == "assistant"]
        if train_on == "all" and all(turn.trained for turn in turns):
            return text, spans
        if len(spans) != len(turns):
            raise RowError(
                "refused by the template",
                "the template's {% generation %} marks do not match the turns of the assistant",
                where=conversation.where,
                hint=HINT,
            )
        kept = [
            span
            for number, (turn, span) in enumerate(zip(turns, spans, strict=True), 1)
            if turn.trained and (train_on == "all" or number == len(turns))
        ]
        return text, kept

    def _turn_spans(self, conversation: Conversation) -> tuple[str, Spans]:
        """What the assistant wrote, a span a turn: by the template's own marks; else by marking the
        contents; else by what the template writes around answers; else by what the rendering gains
        with each turn."""
        messages = [_message(turn) for turn in conversation.turns]
        marked = self._render(messages, conversation.tools)
        if self._compiled.opening in marked:
            return self._from_marks(marked)
        return marked, (
            self._from_contents(marked, messages, conversation)
            or self._from_headers(marked, conversation)
            or self._from_prefixes(marked, messages, conversation)
        )

    def _text_spans(self, conversation: Conversation) -> tuple[str, Spans]:
        """A text that was templated before: what stands between this template's own marks."""
        text = conversation.text or ""
        if not conversation.templated:
            return text, [(0, len(text))]
        spans = self._between_headers(text)
        if not spans:
            raise RowError(
                "another format",
                "the text was templated for another model: it has no "
                f"{self._header.strip()!r}, with which this model's template begins an answer",
            )
        return text, spans

    def _from_marks(self, marked: str) -> tuple[str, Spans]:
        """What stands between the template's own marks; where they leave out the end of the turn,
        that too: a model that never saw it never stops."""
        text, spans = "", []
        ends = tuple(end for end in (self._ending, *self._stops) if end)
        for index, part in enumerate(marked.split(self._compiled.opening)):
            if index == 0:
                text = part
                continue
            inside, _, after = part.partition(self._compiled.closing)
            further = 0 if inside.rstrip().endswith(ends) else self._end_of_turn(after)
            spans.append((len(text), len(text) + len(inside) + further))
            text += inside + after
        return text, spans

    def _from_contents(
        self, text: str, messages: list[dict[str, Any]], conversation: Conversation
    ) -> Spans:
        """Render once more with every answer between two marks: what lies around the marks lies
        around the answers in `text` too. Empty where that cannot be said for certain."""
        wrote = [turn for turn in conversation.turns if turn.role == "assistant"]
        if not all(turn.content.strip() for turn in wrote):
            return []
        marked = [
            {**message, "content": f"{self._before}{message['content']}{self._after}"}
            if message["role"] == "assistant"
            else message
            for message in messages
        ]
        try:
            rendered = self._render(marked, conversation.tools)
        except RowError:
            return []
        around = _split_twice(rendered, self._before, self._after)
        if len(around) != len(wrote) + 1 or not text.startswith(around[0]):
            return []
        spans: Spans = []
        at = len(around[0])
        for number, (turn, between) in enumerate(zip(wrote, around[1:], strict=True), 1):
            last = number == len(wrote)
            found = len(text) - len(between) if last else _ends(text, at, turn.content, between)
            if found < at or not text.startswith(between, found):
                return []
            spans.append((at, found + self._own(between, turn)))
            at = found + len(between)
        return spans

    def _own(self, between: str, turn: Turn) -> int:
        """How much of what follows an answer is still the assistant's: the calls of tools, and the
        mark that ends the turn."""
        if "tool_calls" in turn.extra and self._ending:
            end = between.find(self._ending)
            return end + len(self._ending) if end >= 0 else 0
        return self._end_of_turn(between)

    def _end_of_turn(self, between: str) -> int:
        """How long the mark is that ends a turn, if what follows an answer begins with one."""
        space = len(between) - len(between.lstrip())
        for ending in (self._ending, *self._stops):
            if ending and between.startswith(ending, space):
                return space + len(ending)
        mark = _MARK_BEFORE_MARK.match(between)
        return mark.end() if mark else 0

    def _from_headers(self, text: str, conversation: Conversation) -> Spans:
        """What stands between the template's beginnings and ends of answers, if there are as many
        as turns: for templates that take contents apart, such as a chain of thought."""
        spans = self._between_headers(text)
        wrote = sum(turn.role == "assistant" for turn in conversation.turns)
        return spans if len(spans) == wrote else []

    def _between_headers(self, text: str) -> Spans:
        opening, closing = self._header, self._ending
        spans: Spans = []
        at = text.find(opening) if opening and closing else -1
        while at >= 0:
            start = at + len(opening)
            end = text.find(closing, start)
            spans.append((start, end + len(closing) if end >= 0 else len(text)))
            at = text.find(opening, spans[-1][1])
        return spans

    def _from_prefixes(
        self, text: str, messages: list[dict[str, Any]], conversation: Conversation
    ) -> Spans:
        """What the rendering gains with each turn of the assistant is what it wrote."""
        spans: Spans = []
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._render(messages[:index], conversation.tools, True)
            last = index == len(messages) - 1
            after = text if last else self._render(messages[: index + 1], conversation.tools)
            if not (text.startswith(before) and text.startswith(after)) or len(after) < len(before):
                raise RowError(
                    "refused by the template",
                    "the chat template renders the start of a conversation differently from the "
                    "whole, so the assistant's words cannot be found",
                    hint="Add {% generation %} marks to a copy of it, named in model.template.",
                )
            # White space after the end-of-turn token belongs to nobody.
            spans.append((len(before), len(before) + len(after[len(before) :].rstrip())))
        return spans

    @cached_property
    def _ending(self) -> str:
        """What the template writes after an answer, without white space; for example <|im_end|>."""
        asked = {"role": "user", "content": "Hello"}
        answer = {"role": "assistant", "content": f"{self._before}Hello{self._after}"}
        try:
            text = self._compiled.unmarked(self._render([asked, answer]))
        except RowError:
            return ""
        return text.partition(self._after)[2].strip()

    @cached_property
    def _header(self) -> str:
        """What the template writes before an answer; for example <|im_start|>assistant. Taken from
        an earlier turn, because templates open the last one in special ways."""
        asked = {"role": "user", "content": "Hello"}
        answer = {"role": "assistant", "content": f"{self._before}Hello{self._after}"}
        try:
            start = self._render([asked])
            talk = self._compiled.unmarked(self._render([asked, answer, asked]))
        except RowError:
            return ""
        return talk.partition(self._before)[0].removeprefix(start) if talk.startswith(start) else ""


def _message(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role, "content": turn.content, **turn.extra}


def _split_twice(text: str, before: str, after: str) -> list[str]:
    """What lies outside the pairs of marks; empty if they do not come in pairs."""
    first, *rest = text.split(before)
    outside = [first]
    for part in rest:
        _, mark, behind = part.partition(after)
        if not mark or after in behind:
            return []
        outside.append(behind)
    return outside


def _ends(text: str, at: int, content: str, between: str) -> int:
    """Where an answer that begins at `at` ends: `between` follows it. Templates trim contents."""
    for said in (content, content.strip(), content.rstrip(), content.lstrip()):
        if text.startswith(said, at) and text.startswith(between, at + len(said)):
            return at + len(said)
    return text.find(between, at)
