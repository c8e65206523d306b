"""Examples: token ids with a mask of which are trained. What a person sees is what is trained."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from trainer_core.data.conversations import Conversation, Turn
from trainer_core.errors import UserError
from trainer_core.tokens.chat_template import ChatTemplate, Spans
from trainer_core.tokens.tokenizer import Tokenizer

IGNORED = -100


@dataclass(frozen=True)
class Example:
    """Token ids of one conversation; `trained[i]` says whether the model learns to write ids[i]."""

    ids: list[int]
    trained: list[bool]
    where: str = ""

    @property
    def labels(self) -> list[int]:
        """The ids to learn, and -100 for masked tokens, as PyTorch's loss wants them."""
        return [
            token if learn else IGNORED for token, learn in zip(self.ids, self.trained, strict=True)
        ]


@dataclass
class Encoded:
    """The examples of a split, and what was left out."""

    examples: list[Example] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)
    nothing_trained: list[str] = field(default_factory=list)


class Encoder:
    """Turns conversations into examples, and prompts into ids, for one model."""

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        self.tokenizer = tokenizer
        self._name = name
        source = tokenizer.template
        self.template = ChatTemplate(source, tokenizer) if source is not None else None

    def encode(self, conversation: Conversation) -> Example:
        """The example of a conversation: through the chat template, or, for a model without one,
        prompt, newline, completion, end token. Raises UserError."""
        if self.template is not None:
            text, spans = self.template.render_with_spans(conversation)
            example = self._example(text, spans, conversation.where, special=False)
            return self._ended(example, trained=False)
        prompt, answer = self._plain(conversation)
        start = len(prompt) + 1
        text = f"{prompt}\n{answer}"
        example = self._example(text, [(start, len(text))], conversation.where, special=True)
        return self._ended(example, trained=True)

    def prompt_ids(self, prompt: str) -> list[int]:
        """Ids after which the model writes its answer to `prompt`."""
        if self.template is not None:
            text = self.template.render([Turn("user", prompt)], prompt=True)
            return self.tokenizer.encode(text, special=False)[0]
        ids, _ = self.tokenizer.encode(f"{prompt}\n", special=True)
        return ids[:-1] if ids and ids[-1] == self.tokenizer.eos_id else ids

    def encode_all(
        self,
        conversations: Iterable[Conversation],
        max_length: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Encoded:
        """Examples of at most `max_length` tokens; longer ones and those with nothing to learn are
        left out and listed."""
        encoded = Encoded()
        for done, conversation in enumerate(conversations, 1):
            example = self.encode(conversation)
            if len(example.ids) > max_length:
                encoded.too_long.append(example.where)
            elif not any(example.trained):
                encoded.nothing_trained.append(example.where)
            else:
                encoded.examples.append(example)
            progress(done)
        return encoded

    def _plain(self, conversation: Conversation) -> tuple[str, str]:
        if not conversation.pair:
            raise UserError(
                f"{self._name} has no chat template, so it cannot be trained on conversations",
                where=conversation.where,
                hint="Name a Jinja template in model.template, or use prompt/completion rows.",
            )
        *before, answer = conversation.turns
        return "\n".join(turn.content for turn in before), answer.content

    def _example(self, text: str, spans: Spans, where: str, *, special: bool) -> Example:
        ids, offsets = self.tokenizer.encode(text, special=special)
        return Example(ids, _mask(offsets, spans), where)

    def _ended(self, example: Example, *, trained: bool) -> Example:
        """With an end token if there is none, so that the model learns to stop; and no second one.

        A template that ends the last turn itself already has its end-of-turn token in the mask.
        """
        eos = self.tokenizer.eos_id
        ids, mask = example.ids, example.trained
        last = max((i for i, learn in enumerate(mask) if learn), default=-1)
        stops = self.tokenizer.stop_ids
        if trained and ids and ids[-1] == eos:
            return Example(ids, [*mask[:-1], True], example.where)
        if eos is None or (not trained and (last < 0 or ids[last] in stops)):
            return example
        if not trained and last != len(ids) - 1:
            return example  # the template closes the turn with a text of its own
        return Example([*ids, eos], [*mask, True], example.where)


def _mask(offsets: list[tuple[int, int]], spans: Spans) -> list[bool]:
    """Tokens with at least one character inside a span; both lists are in rising order."""
    mask, index = [], 0
    for start, end in offsets:
        while index < len(spans) and spans[index][1] <= start:
            index += 1
        inside = index < len(spans) and start < spans[index][1] and end > spans[index][0]
        mask.append(inside and end > start)
    return mask
