"""A chat template, compiled: messages to text, in Jinja's sandbox, because templates come with
models. What that sandbox does not bound, time and memory, tokens/render_process.py does."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from trainer_core.data.problems import RowError
from trainer_core.errors import UserError

HINT = "Name another template in model.template."
# Real ones have a tenth of it.
MAX_SOURCE = 128 << 10
# Python refuses what Jinja makes of loops twenty deep, and numbers of thousands of digits.
_NO_TEMPLATE = (jinja2.TemplateError, RecursionError, SyntaxError, ValueError)


class CompiledTemplate:
    """One Jinja chat template. What `{% generation %}` encloses stands between the marks `opening`
    and `closing`, which no data can hold."""

    def __init__(self, source: str, bos: str, eos: str) -> None:
        """Raises UserError if `source` is not a template."""
        nonce = secrets.token_hex(8)
        self.opening, self.closing = f"\x00<{nonce}\x00", f"\x00{nonce}>\x00"
        # Unoptimised: Jinja's folding of constants takes exponential time on `++++x`.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            extensions=[loopcontrols, _Generation],
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = _now
        environment.globals["generation_marks"] = (self.opening, self.closing)
        if len(source) > MAX_SOURCE:
            raise UserError(f"the chat template has {len(source):,} characters", hint=HINT)
        try:
            self._template = environment.from_string(source)
        except _NO_TEMPLATE as error:
            line = (
                f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
            )
            raise UserError(f"the chat template is not valid: {error}{line}", hint=HINT) from None
        # As a plain dict: Jinja would copy them from a chain of maps for each text, which takes as
        # long as rendering it.
        self._known = {**self._template.globals, "bos_token": bos, "eos_token": eos}

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        prompt: bool = False,
    ) -> str:
        """The messages as text, marks included; with `prompt`, up to where the assistant begins.

        Raises RowError if the template refuses them, MemoryError if it takes too much.
        """
        try:
            context = self._template.new_context(
                {
                    **self._known,
                    "messages": list(messages),
                    "tools": list(tools) or None,
                    "add_generation_prompt": prompt,
                },
                shared=True,
            )
            return "".join(self._template.root_render_func(context))
        except (RowError, MemoryError):
            raise
        except Exception as error:  # a template is a program: it can fail in any way
            reason = " ".join(str(error).split())[:200]
            raise RowError(
                "refused by the template",
                f"the chat template cannot render this conversation: {reason}",
                hint=HINT,
            ) from None

    def unmarked(self, text: str) -> str:
        """`text` without the marks."""
        return text.replace(self.opening, "").replace(self.closing, "")


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


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As transformers' `tojson`: plain JSON, not made safe for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _raise(message: str) -> None:
    raise RowError(
        "refused by the template",
        f"the chat template refuses this conversation: {str(message)[:200]}",
        hint=HINT,
    )
