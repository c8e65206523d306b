"""What the check asks: strings to tokenize, and prompts to go on with."""

import json
import logging
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.export.check import ANSWER_TOKENS
from trainer_core.export.source import Source
from trainer_core.planning.facts import model_facts
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.examples import Encoder, Example
from trainer_core.tokens.limit import PlannedLimit
from trainer_core.tokens.prepare import prepare

log = logging.getLogger(__name__)
PROMPTS = 6
# Tokens of a prompt that are kept, its last ones: more would make the check slow on a CPU.
LONGEST = 192
# Tokens that a model is asked about at once, at most: a prompt and the answer to it.
MOST_TOKENS = LONGEST + ANSWER_TOKENS
# For a model whose data is not known.
_GENERAL = (
    "What is the capital of France?",
    "Write a short story about a lost key.",
    "Explain in one sentence why the sky is blue.",
    "List three animals that can fly.",
)


def strings(prompts: Sequence[str]) -> list[str]:
    """Strings on which two tokenizers that differ anywhere are likely to differ: spaces, digits,
    capitals, accents, scripts, emoji, code; and the prompts themselves. Composed (NFC): tokenizers
    that compose what they read are known, and llama.cpp never does."""
    path = Path(__file__).parent / "strings.jsonl"
    listed = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [unicodedata.normalize("NFC", text) for text in [*listed, *prompts]]


def prompts(source: Source, poll: Callable[[], None]) -> tuple[list[list[int]], str]:
    """Token ids of prompts, and where they are from: what comes before the first answer of some
    validation examples (training ones if there are none), else general questions. `poll` is called
    again and again while the data is read, and ends it by what it raises."""
    examples, origin = _examples(source, poll)
    asked = [_before_answer(example) for example in examples]
    asked = [ids for ids in asked if ids]
    if not asked:
        encoder = Encoder(source.talking(), source.base_name)
        given = source.config.training.sample_prompts if source.config is not None else []
        asked = [encoder.prompt_ids(text) for text in given or _GENERAL]
        origin = "the run's sample prompts" if given else "general questions"
    return [ids[-LONGEST:] for ids in asked[:PROMPTS]], origin


def _examples(source: Source, poll: Callable[[], None]) -> tuple[list[Example], str]:
    config, base = source.config, source.base or source.folder
    if config is None:
        return [], ""
    try:
        # The same pass as the training's, so nearly always there in the cache.
        setup = EncoderSetup(base, config.model.template, config.model.base, config.data.train_on)
        prepared = prepare(
            config.data,
            setup,
            PlannedLimit(config, model_facts(base)),
            config.training.seed,
            progress=lambda _rows, _seconds: poll(),
        )
    except UserError as error:  # the data has moved since: the check has other questions
        log.warning("the run's data cannot be read for the check: %s", error)
        return [], ""
    for split in ("validation", "train"):
        found = prepared.splits[split]
        if len(found):
            step = max(1, len(found) // PROMPTS)
            taken = [found[index] for index in range(0, len(found), step)][:PROMPTS]
            return taken, f"{split} examples"
    return [], ""


def _before_answer(example: Example) -> list[int]:
    """The tokens before the first that is trained; of plain text, all of it trained, its start."""
    if not len(example.spans):
        return []
    start = int(example.spans[0, 0])
    if start < 2:
        start = max(start, min(16, len(example.ids) // 2))
    return [int(token) for token in example.ids[:start]]
