"""Rendering a chat template, sandboxed, and finding which characters the assistant wrote.

Two ways to find them: the `{% generation %}` blocks of the template where it has them, and its own
rendering of each beginning of the conversation where not.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.errors import UserError
from trainer_core.tokens.tokenizer import Tokenizer

Spans = list[tuple[int, int]]


class ChatTemplate:
    """A compiled chat template of a model."""

    def __init__(self, source: str, tokenizer: Tokenizer) -> None:
        # Marks that no data can hold, put around what `{% generation %}` encloses.
        mark = secrets.token_hex(8)
        self._open, self._close = f"\x00<{mark}\x00", f"\x00{mark}>\x00"
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[loopcontrols, _Generation],
        )
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        environment.globals["generation_marks"] = (self._open, self._close)
        environment.filters["tojson"] = _to_json
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise UserError(f"the chat template is not valid: {error}", hint=_HINT) from None
        self._tokens = {"bos_token": tokenizer.bos, "eos_token": tokenizer.eos}

    def render(self, turns: Sequence[Turn], *, prompt: bool = False) -> str:
        """The conversation as text; with `prompt`, up to where the assistant begins to write."""
        text = self._render(turns, prompt)
        return text.replace(self._open, "").replace(self._close, "")

    def render_with_spans(self, conversation: Conversation) -> tuple[str, Spans]:
        """The conversation as text, and the [start, end) characters of each assistant turn with the
        mark that ends it.

        Raises UserError if the template refuses the conversation, or if what the assistant wrote
        cannot be told from its rendering.
        """
        try:
            marked = self._render(conversation.turns, False)
            if self._open in marked:
                return self._from_marks(marked)
            return marked, self._from_prefixes(marked, conversation.turns)
        except UserError as error:
            if error.where:
                raise
            raise UserError(error.message, where=conversation.where, hint=error.hint) from None

    def _render(self, turns: Sequence[Turn], prompt: bool) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return self._template.render(
                messages=messages, tools=None, add_generation_prompt=prompt, **self._tokens
            )
        except UserError:
            raise
        except Exception as error:  # a template is a program: it can fail in any way
            raise UserError(
                f"the chat template cannot render this conversation: {error}", hint=_HINT
            ) from None

    def _from_marks(self, marked: str) -> tuple[str, Spans]:
        text, spans = "", []
        for index, part in enumerate(marked.split(self._open)):
            if index == 0:
                text = part
                continue
            inside, _, after = part.partition(self._close)
            spans.append((len(text), len(text) + len(inside)))
            text += inside + after
        return text, spans

    def _from_prefixes(self, text: str, turns: Sequence[Turn]) -> Spans:
        """What the rendering gains with each assistant turn is what the assistant wrote."""
        spans: Spans = []
        for index, turn in enumerate(turns):
            if turn.role != "assistant":
                continue
            before = self._render(turns[:index], True)
            after = text if index == len(turns) - 1 else self._render(turns[: index + 1], False)
            if not (text.startswith(before) and text.startswith(after)) or len(after) < len(before):
                raise UserError(
                    "the chat template renders the start of a conversation differently from the "
                    "whole, so the assistant's words cannot be found",
                    hint="Add {% generation %} marks to a copy of it, named in model.template.",
                )
            # White space after the end-of-turn token belongs to nobody.
            spans.append((len(before), len(before) + len(after[len(before) :].rstrip())))
        return spans


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}`: what the assistant wrote."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_mark", [nodes.Name("generation_marks", "load")])
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _mark(self, marks: tuple[str, str], caller: Callable[[], str]) -> str:
        return f"{marks[0]}{caller()}{marks[1]}"


def _raise(message: str) -> None:
    raise UserError(f"the chat template refuses this conversation: {message}")


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


_HINT = "Name another template in model.template."
