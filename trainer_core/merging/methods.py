"""What a run starts from, and what is merged after it, by name.

All functions leave their arguments as they are, compute in float32 and return float32 on the CPU;
A is [rank, in], B is [out, rank], and names and shapes stay. What is neither A nor B (modules that
were trained whole) is taken from the last fine-tuned adapter.
"""

from collections.abc import Callable

import torch

from trainer_core.config.multi_run_section import MergeName
from trainer_core.merging.slao import keep_function, moved, orthogonal, share_of
from trainer_core.merging.state import State, pairs_of, plain, require_alike

Pair = tuple[torch.Tensor, torch.Tensor]
# A and B of the merged adapter, A and B of the fine-tuned one, the number of the run.
MergePair = Callable[[Pair, Pair, int], Pair]
_ORTHOGONAL = {"slao", "slao-merge-a", "slao-from-merged", "slao-keep-function"}


def start_of_run(name: MergeName, fine_tuned: State, merged: State, seed: int) -> State:
    """The adapter that a run after the first starts from.

    SLAO and its ablations say how (see `merge_run`); with all others it is the last fine-tuned one.
    `seed` is for "slao-random". Raises ValueError where the adapters do not fit together.
    """
    require_alike(fine_tuned, merged)
    start = {key: plain(tensor) for key, tensor in fine_tuned.items()}
    source = merged if name == "slao-from-merged" else fine_tuned
    generator = torch.Generator().manual_seed(seed)
    for key_a, key_b in pairs_of(fine_tuned).values():
        a, b = source[key_a], source[key_b]
        if name == "slao-random":
            drawn = torch.randn(a.shape, generator=generator)
            start[key_a], start[key_b] = orthogonal(drawn)[0], torch.zeros(b.shape)
        elif name in _ORTHOGONAL:
            start[key_a], r = orthogonal(a)
            start[key_b] = keep_function(b, r) if name == "slao-keep-function" else plain(b)
    return start


def merge_run(
    name: MergeName,
    merged: State | None,
    fine_tuned: State,
    number: int,
    *,
    density: float = 0.5,
    seed: int = 0,
) -> State:
    """The merged adapter after run `number`, counted from 1; `merged` is the one before.

    none: the fine-tuned one. slao, and with another start slao-without-qr (A as it was),
    slao-from-merged (the paper's "last merge" initialisation), slao-random, slao-keep-function
    (ours): A is replaced, B moves by 1/sqrt(i). slao-merge-a: A moves as B does. linear: the mean
    of all runs of A and of B apart, as PEFT has it, so B_i A_j of two runs come in too. svd: the
    mean of B A, exact, then cut to the adapter's rank. ties, dare-linear, dare-ties: PEFT's, on A
    and B apart, keeping `density` of the values; DARE draws by `seed`.

    Raises ValueError where the adapters do not fit together.
    """
    result = {key: plain(tensor) for key, tensor in fine_tuned.items()}
    if name == "none" or merged is None or number == 1:
        return result
    require_alike(fine_tuned, merged)
    merge = _pair_merge(name, density, seed)
    for key_a, key_b in pairs_of(fine_tuned).values():
        before, now = (merged[key_a], merged[key_b]), (fine_tuned[key_a], fine_tuned[key_b])
        result[key_a], result[key_b] = merge(before, now, number)
    return result


def _pair_merge(name: MergeName, density: float, seed: int) -> MergePair:
    if name.startswith("slao"):
        return _move_both if name == "slao-merge-a" else _replace_a
    if name == "linear":
        return lambda old, new, number: (
            moved(old[0], new[0], 1 / number),
            moved(old[1], new[1], 1 / number),
        )
    return _cut_sum if name == "svd" else _of_peft(name, density, seed)


def _replace_a(old: Pair, new: Pair, number: int) -> Pair:
    """The paper's asymmetric merge."""
    return plain(new[0]), moved(old[1], new[1], share_of(number))


def _move_both(old: Pair, new: Pair, number: int) -> Pair:
    share = share_of(number)
    return moved(old[0], new[0], share), moved(old[1], new[1], share)


def _cut_sum(old: Pair, new: Pair, number: int) -> Pair:
    """The mean of B A over all runs, as the nearest matrix of the adapter's rank (Eckart and Young
    1936), without ever making a matrix of [out, in]: the factors side by side have twice the rank,
    and the SVD is that of a core of so many rows and columns. The square root of each singular
    value goes to either side."""
    rank = len(new[0])
    a = torch.cat([plain(old[0]), plain(new[0])])  # [2 rank, in]
    weights = [(number - 1) / number, 1 / number]
    b = torch.cat([weights[0] * plain(old[1]), weights[1] * plain(new[1])], dim=1)
    q_a, r_a = torch.linalg.qr(a.T)
    q_b, r_b = torch.linalg.qr(b)
    left, values, right = torch.linalg.svd(r_b @ r_a.T)
    roots = values[:rank].sqrt()
    cut_a = (roots[:, None] * right[:rank]) @ q_a.T
    cut_b = (q_b @ left[:, :rank]) * roots
    missing = rank - len(roots)  # layers narrower than the rank
    if missing:
        cut_a = torch.nn.functional.pad(cut_a, (0, 0, 0, missing))
        cut_b = torch.nn.functional.pad(cut_b, (0, missing))
    return cut_a.contiguous(), cut_b.contiguous()


def _of_peft(name: MergeName, density: float, seed: int) -> MergePair:
    from peft.utils import merge_utils

    function = {
        "ties": merge_utils.ties,
        "dare-linear": merge_utils.dare_linear,
        "dare-ties": merge_utils.dare_ties,
    }[name]

    def merge(old: Pair, new: Pair, number: int) -> Pair:
        # TIES gives a mean where both agree, so its weights sum to two; DARE's sum is one.
        weights = torch.tensor([(number - 1) / number, 1 / number])
        weights = weights if name == "dare-linear" else 2 * weights
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + number)
            a, b = (
                function([plain(x), plain(y)], weights, density)
                for x, y in zip(old, new, strict=True)
            )
        return a, b

    return merge
