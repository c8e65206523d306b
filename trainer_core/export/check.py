"""Whether an exported model speaks like the trained one.

Four things are compared: the chat template; token ids of many strings; the probabilities of the
next token after each position of prompts and the trained model's own greedy answers to them, as the
Kullback-Leibler divergence KL(trained || exported) in nats; and whether the likeliest token is the
same. As long as it is the same at every position of an answer, the exported model's greedy answer
is that answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer_core.export.speaker import Logits, Speaker
from trainer_core.export.transformers_speaker import TransformersSpeaker
from trainer_core.runs.events import Check, Measure, Spoken

ANSWER_TOKENS = 24
# Positions of the prompt, its last ones, that are compared besides the answer's.
PROMPT_POSITIONS = 16
# How many answers are shown.
SHOWN = 3


@dataclass(frozen=True)
class Limits:
    """What a number format may change: nats of divergence, on average and at the worst position,
    and how often the likeliest token must stay."""

    mean: float
    worst: float
    same: float


@dataclass(frozen=True)
class Answered:
    """A prompt, and what the trained model said: `answer` greedily, and `log_probabilities`,
    float32 [positions, vocabulary], after the last positions of both together."""

    prompt: list[int]
    answer: list[int]
    log_probabilities: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reference:
    """The trained model's side of the comparison, so that two models never share the memory."""

    tokens: dict[str, list[int]]
    answered: list[Answered]
    origin: str
    template: str | None
    dtype: str
    text: Callable[[Sequence[int]], str]
    stop_ids: tuple[int, ...]


def ask_trained(
    model: TransformersSpeaker,
    texts: Sequence[str],
    prompts: Sequence[list[int]],
    origin: str,
    template: str | None,
    tell: Callable[[int], None],
) -> Reference:
    """Ask the trained model everything. `template` is the chat template of its training; `tell`
    hears how many prompts are answered."""
    answered = []
    for number, prompt in enumerate(prompts, 1):
        answer = model.answer(prompt, ANSWER_TOKENS)
        found = _log_probabilities(model.logits([*prompt, *answer]), prompt, answer)
        answered.append(Answered(list(prompt), answer, found))
        tell(number)
    tokens = {text: model.tokens(text) for text in texts}
    return Reference(tokens, answered, origin, template, model.dtype, model.text, model.stop_ids)


def compare(
    reference: Reference, speaker: Speaker, limits: Limits, tell: Callable[[int], None]
) -> Check:
    """Ask the exported model the same, and measure. `tell` hears how many prompts are answered."""
    wrong = [text for text, ids in reference.tokens.items() if speaker.tokens(text) != ids]
    divergences, same, spoken = [], [], []
    vocabulary = True
    for number, asked in enumerate(reference.answered, 1):
        logits = speaker.logits([*asked.prompt, *asked.answer])
        found = _log_probabilities(logits, asked.prompt, asked.answer)
        width = min(found.shape[1], asked.log_probabilities.shape[1])
        vocabulary &= abs(found.shape[1] - asked.log_probabilities.shape[1]) <= _PADDING
        theirs, ours = asked.log_probabilities[:, :width], found[:, :width]
        divergences.append(_divergence(theirs, ours))
        same.append(ours.argmax(axis=1) == theirs.argmax(axis=1))
        if number <= SHOWN:
            spoken.append(_spoken(reference, asked, speaker, ours))
        tell(number)
    kl, agree = np.concatenate(divergences), np.concatenate(same)
    tokenized = len(reference.tokens) - len(wrong)
    strings = f"strings with the same tokens, of {len(reference.tokens)}"
    measures = [
        Measure(name=strings, value=tokenized, limit=len(reference.tokens), at_least=True),
        Measure(name="divergence in nats, mean", value=float(kl.mean()), limit=limits.mean),
        Measure(name="divergence in nats, worst", value=float(kl.max()), limit=limits.worst),
        Measure(
            name="likeliest token the same, share",
            value=float(agree.mean()),
            limit=limits.same,
            at_least=True,
        ),
    ]
    differs = "" if vocabulary else "it has another number of tokens"
    if wrong and not differs:
        differs = f"it splits {wrong[0]!r} into other tokens"
    if not differs and speaker.template() != reference.template:
        differs = "its chat template is not that of the training"
    return Check(runtime=speaker.runtime, measures=measures, differs=differs, spoken=spoken)


# Rows that some programs add to the vocabulary to make it a round number.
_PADDING = 256


def _spoken(
    reference: Reference, asked: Answered, speaker: Speaker, found: npt.NDArray[np.float32]
) -> Spoken:
    """The trained model's answer, and the exported one's: the same up to the first token that the
    exported one would have written otherwise, from there its own."""
    count = len(asked.answer)
    written = found[-count - 1 : -1].argmax(axis=1) if count else []
    answer = list(asked.answer)
    for place, token in enumerate(written):
        if token != answer[place]:
            answer = [*answer[:place], int(token)]
            if int(token) not in reference.stop_ids:
                answer = speaker.answer(asked.prompt, ANSWER_TOKENS)
            break
    return Spoken(
        prompt=reference.text(asked.prompt),
        trained=reference.text(asked.answer),
        exported=reference.text([token for token in answer if token not in reference.stop_ids]),
    )


def _log_probabilities(
    logits: Logits, prompt: Sequence[int], answer: Sequence[int]
) -> npt.NDArray[np.float32]:
    last = logits[-(len(answer) + min(len(prompt), PROMPT_POSITIONS)) :].astype(np.float64)
    with np.errstate(invalid="ignore"):  # what is no number is found by who measures
        last -= last.max(axis=1, keepdims=True)
        last -= np.log(np.exp(last).sum(axis=1, keepdims=True))
    return last.astype(np.float32)


def _divergence(
    trained: npt.NDArray[np.float32], exported: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """KL(trained || exported) at each position, in nats: [positions]."""
    with np.errstate(invalid="ignore"):
        likely = np.exp(trained.astype(np.float64))
        # What the trained model never says counts for nothing, whatever the exported one thinks.
        terms = np.where(likely > 0, likely * (trained - exported), 0.0).sum(axis=1)
    return np.where(np.isfinite(terms), np.maximum(terms, 0.0), np.inf)
