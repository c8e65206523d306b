"""From examples to what the loop reads: a dataset, batches of tensors, the order of the data."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import datasets
import numpy as np
import torch

from trainer_core.tokens.examples import IGNORED, Example


class ExamplesLike(Protocol):
    """Examples by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Example: ...


def to_dataset(examples: ExamplesLike) -> datasets.Dataset:
    """Examples as TRL takes them ready-made (`input_ids` and `labels`), each made when it is read:
    the dataset itself holds numbers only, whatever the size of the data."""

    def read(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        chosen = [examples[index] for index in batch["example"]]
        return {
            "input_ids": [example.ids for example in chosen],
            "labels": [example.labels for example in chosen],
        }

    numbers = datasets.Dataset.from_dict({"example": np.arange(len(examples))})
    return numbers.with_transform(read)


class Collator:
    """Pads a list of examples on the right: input_ids, labels, attention_mask, each
    [examples, longest], int64."""

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One micro-batch."""
        longest = max(len(example["input_ids"]) for example in examples)
        shape = (len(examples), longest)
        ids = torch.full(shape, self._pad_id, dtype=torch.int64)
        labels = torch.full(shape, IGNORED, dtype=torch.int64)
        attention = torch.zeros(shape, dtype=torch.int64)
        for row, example in enumerate(examples):
            length = len(example["input_ids"])
            ids[row, :length] = torch.as_tensor(np.asarray(example["input_ids"], dtype=np.int64))
            labels[row, :length] = torch.as_tensor(np.asarray(example["labels"], dtype=np.int64))
            attention[row, :length] = 1
        return {"input_ids": ids, "labels": labels, "attention_mask": attention}


class EpochOrder(torch.utils.data.Sampler[int]):  # type: ignore[misc]
    """A shuffled order that is a function of (seed, epoch) alone: a resume finds its place."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the loop as each epoch starts."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        return iter(torch.randperm(self._count, generator=generator).tolist())
