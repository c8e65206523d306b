"""How much an adapter changed, layer by layer."""

import re

import torch

from trainer_core.merging.state import State, pairs_of, plain, require_alike

_LAYER = re.compile(r"\.(\d+)\.")


def drift(before: State, after: State, scale: float = 1.0) -> dict[str, tuple[float, float]]:
    """For each module ‖B₂ A₂ - B₁ A₁‖ and ‖B₁ A₁‖ (Frobenius), times `scale`.

    No matrix of [out, in] is made: ‖B A‖² is the sum of (BᵀB) ∘ (A Aᵀ), both [rank, rank], and the
    change (B₂ - B₁) A₂ + B₁ (A₂ - A₁) is a product of twice the rank, written so that it is exactly
    zero where nothing changed. In float64, for squares of small changes are smaller yet.
    Raises ValueError where the adapters do not fit together.
    """
    require_alike(before, after)
    found = {}
    for module, (key_a, key_b) in pairs_of(before).items():
        old_a, old_b, new_a, new_b = (
            plain(x).double() for x in (before[key_a], before[key_b], after[key_a], after[key_b])
        )
        change = _norm(torch.cat([new_a, new_a - old_a]), torch.cat([new_b - old_b, old_b], dim=1))
        found[module] = (scale * change, scale * _norm(old_a, old_b))
    return found


def by_layer(drifts: dict[str, tuple[float, float]]) -> dict[str, float]:
    """The change of each layer as a share of what it was, over its modules; "other" is what lies
    in no numbered layer. Where nothing was, a change counts as 1."""
    sums: dict[str, list[float]] = {}
    for module, (change, size) in drifts.items():
        match = _LAYER.search(module)
        total = sums.setdefault(match[1] if match else "other", [0.0, 0.0])
        total[0] += change**2
        total[1] += size**2
    order = sorted(sums, key=lambda name: (name == "other", int(name) if name.isdigit() else 0))
    return {name: _share(*sums[name]) for name in order}


def _norm(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((b.T @ b) * (a @ a.T)).sum().clamp(min=0).sqrt())


def _share(change: float, size: float) -> float:
    if size == 0:
        return 1.0 if change else 0.0
    return float((change / size) ** 0.5)
