"""Examples: token ids with a mask of which are trained. What a person sees is what is trained."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import tokenizers

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.problems import RowError
from trainer_core.errors import UserError
from trainer_core.tokens.chat_template import Spans
from trainer_core.tokens.renderer import Rendered, renderer_of
from trainer_core.tokens.tokenizer import Tokenizer

IGNORED = -100
Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of one conversation, int32 [tokens]; `spans`, int32 [spans, 2], says which of them
    the model learns to write: tokens from start to before end, rising, never touching."""

    ids: Ids
    spans: Ids
    where: str = ""

    @property
    def trained(self) -> npt.NDArray[np.bool_]:
        """Which tokens are trained, [tokens]."""
        mask = np.zeros(len(self.ids), dtype=np.bool_)
        for start, end in self.spans:
            mask[start:end] = True
        return mask

    @property
    def trained_tokens(self) -> int:
        """How many tokens are trained."""
        return int((self.spans[:, 1] - self.spans[:, 0]).sum())

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The ids to learn, and -100 for masked tokens, as PyTorch's loss wants them: [tokens]."""
        return np.where(self.trained, self.ids, IGNORED).astype(np.int64)


class Encoder:
    """Turns conversations into examples, and prompts into ids, for one model."""

    def __init__(
        self, tokenizer: Tokenizer, name: str, train_on: Literal["all", "last"] = "all"
    ) -> None:
        self.tokenizer = tokenizer
        self._name = name
        self.train_on = train_on
        source = tokenizer.template
        self.template = renderer_of(source, tokenizer) if source is not None else None

    def encode(self, conversation: Conversation) -> Example:
        """The example of one conversation. Raises RowError, or UserError where the model cannot
        learn such conversations at all."""
        (example,) = self.encode_batch([conversation])
        if isinstance(example, RowError):
            raise example
        return example

    def encode_batch(self, conversations: Sequence[Conversation]) -> list[Example | RowError]:
        """An example for each conversation, or why there is none: through the chat template, or,
        for a model without one, prompt, newline, completion, end token.

        Raises UserError where the model cannot learn such conversations at all.
        """
        results: list[Example | RowError | None] = [None] * len(conversations)
        rendered: dict[bool, list[tuple[int, str, Spans]]] = {True: [], False: []}
        for index, found in enumerate(self._render(conversations)):
            if isinstance(found, RowError):
                results[index] = found
            else:
                rendered[self._special(conversations[index])].append((index, *found))
        for special, items in rendered.items():
            encodings = self.tokenizer.backend.encode_batch(
                [text for _, text, _ in items], add_special_tokens=special
            )
            for (index, _, spans), encoding in zip(items, encodings, strict=True):
                results[index] = self._example(encoding, spans, conversations[index])
        return [result for result in results if result is not None]

    def _special(self, conversation: Conversation) -> bool:
        """Whether the tokenizer adds what it puts around a text: a template has written it."""
        raw = conversation.text is not None and not conversation.templated
        return self.template is None or raw

    def prompt_ids(self, prompt: str) -> list[int]:
        """Ids after which the model writes its answer to `prompt`."""
        if self.template is not None:
            text = self.template.render([Turn("user", prompt)], prompt=True)
            return self.tokenizer.encode(text, special=False)
        ids = self.tokenizer.encode(f"{prompt}\n", special=True)
        return ids[:-1] if ids and ids[-1] == self.tokenizer.eos_id else ids

    def _render(self, conversations: Sequence[Conversation]) -> Sequence[Rendered | RowError]:
        if self.template is not None:
            return self.template.render_with_spans(conversations, self.train_on)
        return [self._without_template(conversation) for conversation in conversations]

    def _without_template(self, conversation: Conversation) -> Rendered:
        if conversation.text is not None:
            return conversation.text, [(0, len(conversation.text))]
        if not conversation.pair:
            raise UserError(
                f"{self._name} has no chat template, so it cannot be trained on conversations",
                where=conversation.where,
                hint="Name a chat template in model.template, or use prompt/completion rows.",
            )
        *before, answer = conversation.turns
        prompt = "\n".join(turn.content for turn in before) + "\n"
        return prompt + answer.content, [(len(prompt), len(prompt) + len(answer.content))]

    def _example(
        self, encoding: tokenizers.Encoding, spans: Spans, conversation: Conversation
    ) -> Example:
        ids, ranges = encoding.ids, _token_ranges(encoding, spans)
        if self._needs_end(ids, ranges, conversation):
            eos = self.tokenizer.eos_id
            if ids and ids[-1] == eos:  # the tokenizer added it
                end = len(ids)
            else:
                ids = [*ids, eos] if eos is not None else ids
                end = len(ids)
            if ranges and end > ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], end)
        return Example(
            np.array(ids, dtype=np.int32),
            np.array(ranges, dtype=np.int32).reshape(-1, 2),
            conversation.where,
        )

    def _needs_end(
        self, ids: list[int], ranges: list[tuple[int, int]], conversation: Conversation
    ) -> bool:
        """Whether an end token must follow, so that the model learns to stop.

        A template that ends the last turn itself has its end-of-turn token in the mask already; one
        that closes the turn with a text of its own is left as it is.
        """
        if self.tokenizer.eos_id is None or not ranges:
            return False
        last = ranges[-1][1]
        if self.template is None or conversation.text is not None:
            return last >= len(ids) - 1 and ids[last - 1] not in self.tokenizer.stop_ids
        return last == len(ids) and ids[last - 1] not in self.tokenizer.stop_ids


def _token_ranges(encoding: tokenizers.Encoding, spans: Spans) -> list[tuple[int, int]]:
    """Tokens with at least one character inside each span, as [start, end).

    The places of tokens in the text never fall, so few of them need to be asked for.
    """

    def place(token: int) -> tuple[int, int]:
        return encoding.token_to_chars(token) or (0, 0)

    # What the tokenizer puts around a text covers no character: before it, that is place 0; behind
    # it, places would fall.
    count = len(encoding)
    while count and encoding.token_to_chars(count - 1) is None:
        count -= 1
    tokens = range(count)
    ranges: list[tuple[int, int]] = []
    for start, end in spans:
        first = bisect_left(tokens, start + 1, key=lambda token: place(token)[1])
        beyond = bisect_left(tokens, end, lo=first, key=lambda token: place(token)[0])
        if first >= beyond:
            continue
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], beyond)
        else:
            ranges.append((first, beyond))
    return ranges
