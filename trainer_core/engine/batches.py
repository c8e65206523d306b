"""From examples to what the loop reads: a dataset, batches of tensors, the order of the data."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import datasets
import numpy as np
import numpy.typing as npt
import torch

from trainer_core.tokens.examples import IGNORED, Example
from trainer_core.tokens.packing import Bins


class ExamplesLike(Protocol):
    """Examples by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Example: ...


def to_dataset(examples: ExamplesLike, bins: Bins | None = None) -> datasets.Dataset:
    """Examples as TRL takes them ready-made (`input_ids`, `labels`, `position_ids`), one a row, or
    several as `bins` says. Each row is made when it is read: the dataset itself holds numbers only,
    whatever the size of the data."""

    def read(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        rows = [row_of(examples, [row] if bins is None else bins[row]) for row in batch["row"]]
        return {name: [row[name] for row in rows] for name in rows[0]}

    count = len(examples) if bins is None else len(bins)
    return datasets.Dataset.from_dict({"row": np.arange(count)}).with_transform(read)


def row_of(examples: ExamplesLike, numbers: Iterable[int]) -> dict[str, Any]:
    """Examples one after the other. Positions begin anew with each, and its first token is not
    learnt: there is nothing to write it from."""
    chosen = [examples[int(number)] for number in numbers]
    labels = [example.labels for example in chosen]
    for label in labels:
        label[:1] = IGNORED
    return {
        "input_ids": np.concatenate([example.ids for example in chosen]).astype(np.int64),
        "labels": np.concatenate(labels),
        "position_ids": np.concatenate([np.arange(len(example.ids)) for example in chosen]),
    }


class Collator:
    """Pads rows on the right: input_ids, labels, attention_mask, each [rows, longest], int64."""

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One micro-batch."""
        mask = [np.ones(len(row["input_ids"]), np.int64) for row in rows]
        return {
            "input_ids": _padded([row["input_ids"] for row in rows], self._pad_id),
            "labels": _padded([row["labels"] for row in rows], IGNORED),
            "attention_mask": _padded(mask, 0),
        }


def collator(packing: str, pad_id: int) -> "Collator | PackedCollator":
    """What makes micro-batches under `training.packing`."""
    if packing == "off":
        return Collator(pad_id)
    return PackedCollator(pad_id, flat=packing == "padding-free")


class PackedCollator:
    """Rows of several examples: input_ids, labels, position_ids, each [rows, longest], int64.

    There is no attention mask: the models tell from positions that begin anew where an example
    begins (engine/attention.py shows it). Padding counts as an example of its own. With `flat`, a
    micro-batch becomes one row without padding.
    """

    def __init__(self, pad_id: int, *, flat: bool) -> None:
        self._pad_id = pad_id
        self._flat = flat

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One micro-batch."""
        if self._flat:
            names = ("input_ids", "labels", "position_ids")
            rows = [{name: np.concatenate([row[name] for row in rows]) for name in names}]
        return {
            "input_ids": _padded([row["input_ids"] for row in rows], self._pad_id),
            "labels": _padded([row["labels"] for row in rows], IGNORED),
            "position_ids": _padded([row["position_ids"] for row in rows], None),
        }


def _padded(rows: Sequence[npt.NDArray[np.int64]], fill: int | None) -> torch.Tensor:
    """Rows of one length; filled with `fill`, or with 0, 1, 2… if it is None."""
    longest = max(len(row) for row in rows)
    padded = np.empty((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
        padded[number, len(row) :] = np.arange(longest - len(row)) if fill is None else fill
    return torch.from_numpy(padded)


def rows_of_step(count: int, batch_size: int, accumulation: int, seed: int, step: int) -> list[int]:
    """The rows that the step after `step` steps is trained on, of a dataset of `count` rows: a
    function of its arguments alone."""
    batches = -(-count // batch_size)
    steps = -(-batches // accumulation)
    order = EpochOrder(count, seed)
    order.set_epoch(step // steps)
    first = step % steps * accumulation * batch_size
    return list(order)[first : first + accumulation * batch_size]


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
