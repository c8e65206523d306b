"""How well a model knows examples: the loss of their trained tokens, and how many it guesses."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from trainer_core.engine.batches import Collator, ExamplesLike, row_of
from trainer_core.errors import StoppedError
from trainer_core.runs.control import Control
from trainer_core.scoring.slices import SliceScores
from trainer_core.tokens.examples import IGNORED

# Logits of a batch, in numbers: half a gigabyte in float32.
MOST_LOGITS = 1 << 27


def score_examples(
    model: Any,
    examples: ExamplesLike,
    pad_id: int,
    batch_size: int,
    control: Control | None = None,
) -> SliceScores:
    """Every example as the model knows it: likely answers given the tokens before, no dropout. The
    model is left as it was.

    Raises StoppedError if the user ends it meanwhile.
    """
    losses = np.zeros(len(examples), dtype=np.float64)
    correct, tokens = np.zeros_like(losses, dtype=np.int64), np.zeros_like(losses, dtype=np.int64)
    was_training, collate = model.training, Collator(pad_id)
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    model.eval()
    try:
        for numbers in _batches(examples, batch_size, vocabulary):
            if control is not None:
                control.beat()
                if control.stopping:
                    raise StoppedError("stopped while scoring")
            batch = collate([row_of(examples, [number]) for number in numbers])
            losses[numbers], correct[numbers], tokens[numbers] = _score(model, batch)
    finally:
        model.train(was_training)
    return SliceScores(losses, correct, tokens)


def _batches(examples: ExamplesLike, size: int, vocabulary: int) -> Iterator[list[int]]:
    """Numbers of examples of about one length, in batches whose logits can be held."""
    lengths = [len(examples[number].ids) for number in range(len(examples))]
    batch: list[int] = []
    for number in np.argsort(lengths, kind="stable").tolist():
        if batch and (len(batch) + 1) * lengths[number] * vocabulary > MOST_LOGITS:
            yield batch
            batch = []
        batch.append(number)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _score(model: Any, batch: dict[str, torch.Tensor]) -> tuple[Any, Any, Any]:
    """Summed losses, guessed tokens and trained tokens of each row of a batch, each [rows]."""
    labels = batch.pop("labels")[:, 1:].to(model.device)
    with torch.no_grad():
        output = model(**{name: x.to(model.device) for name, x in batch.items()}, use_cache=False)
        trained = labels != IGNORED
        logits, wanted = output.logits[:, :-1][trained].float(), labels[trained]
        loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        guessed = (logits.argmax(dim=-1) == wanted).to(torch.int64)
    rows = trained.nonzero()[:, 0]
    count = len(labels)

    def summed(values: torch.Tensor) -> Any:
        total = torch.zeros(count, dtype=values.dtype, device=values.device)
        return total.index_add_(0, rows, values).cpu().numpy()

    return summed(loss.double()), summed(guessed), summed(torch.ones_like(guessed))
