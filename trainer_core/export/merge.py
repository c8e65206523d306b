"""The base's weights with an adapter in them, computed a few rows at a time as they are read."""

import torch

from trainer_core.errors import UserError
from trainer_core.export.adapter import Adapter, LoraPair
from trainer_core.export.weights import TensorFacts, Weights


class MergedWeights:
    """`base` with `adapter` merged in: W + scale · b a, and for DoRA each row scaled to its length
    (Liu et al. 2024, equation 5). Computed and given in float32, so that it is rounded only once,
    by whoever writes it.

    Raises UserError if the adapter does not fit the base.
    """

    def __init__(self, base: Weights, adapter: Adapter) -> None:
        self._base = base
        self._adapter = adapter
        self.tensors = dict(base.tensors)
        for name, pair in adapter.pairs.items():
            self._require(name, (int(pair.b.shape[0]), int(pair.a.shape[1])))
        for name, tensor in adapter.replaced.items():
            self._require(name, tuple(tensor.shape))

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """See Weights."""
        if name in self._adapter.replaced:
            return self._adapter.replaced[name][start:stop].clone()
        rows = self._base.rows(name, start, stop)
        pair = self._adapter.pairs.get(name)
        return rows if pair is None else _changed(rows.float(), pair, start, stop)

    def _require(self, name: str, shape: tuple[int, ...]) -> None:
        facts = self._base.tensors.get(name)
        if facts is None or facts.shape != shape:
            why = "has none" if facts is None else f"has {list(facts.shape)}"
            raise UserError(
                f"the adapter in {self._adapter.folder} does not fit the base: it changes {name} "
                f"{list(shape)}, and the base {why}",
                hint="Name the base that it was trained on with --base.",
            )
        self.tensors[name] = TensorFacts(shape, torch.float32)


HEAD = "lm_head.weight"


class UntiedWeights:
    """`stored`, whose head is its embeddings, with a head of its own: for an adapter that changes
    the one and not the other."""

    def __init__(self, stored: Weights, embeddings: str) -> None:
        self._stored = stored
        self._embeddings = embeddings
        self.tensors = {**stored.tensors, HEAD: stored.tensors[embeddings]}

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """See Weights."""
        return self._stored.rows(self._embeddings if name == HEAD else name, start, stop)


def untied(stored: Weights, adapter: Adapter) -> Weights:
    """`stored` as it is, or, where `adapter` changes one of two tied tensors, untied."""
    embeddings = next((name for name in stored.tensors if name.endswith(_EMBEDDINGS)), None)
    changed = {*adapter.pairs, *adapter.replaced}
    if embeddings is None or HEAD in stored.tensors or not {embeddings, HEAD} & changed:
        return stored
    return UntiedWeights(stored, embeddings)


_EMBEDDINGS = "embed_tokens.weight"


def _changed(rows: torch.Tensor, pair: LoraPair, start: int, stop: int) -> torch.Tensor:
    rows.addmm_(pair.b[start:stop], pair.a, alpha=pair.scale)
    if pair.magnitude is not None:
        rows *= (pair.magnitude[start:stop] / rows.norm(dim=1)).unsqueeze(1)
    return rows
