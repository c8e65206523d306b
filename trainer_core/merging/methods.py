"""What a run starts from, and what is merged after it, by name.

All functions leave their arguments as they are, compute in float32 and return float32 on the CPU;
what already was that and does not change may be the same tensor, not a copy. A is [rank, in], B is
[out, rank], and names and shapes stay. What is neither A nor B (modules that were trained whole) is
taken from the last fine-tuned adapter.

Each module is worked on by itself, and what is drawn at random hangs on the seed and the module's
name alone. So a part of an adapter gives that part of the result, and a resumed training the same.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from trainer_core.config.multi_run_section import MergeName
from trainer_core.merging.compress import nearest
from trainer_core.merging.slao import keep_function, moved, orthogonal, share_of
from trainer_core.merging.state import State, pairs_of, plain, require_alike

Pair = tuple[torch.Tensor, torch.Tensor]
# A and B of the merged adapter, A and B of the fine-tuned one, the module's name.
MergePair = Callable[[Pair, Pair, str], Pair]
_ORTHOGONAL = {"slao", "slao-merge-a", "slao-from-merged", "slao-keep-function"}


def start_of_run(name: MergeName, fine_tuned: State, merged: State, seed: int) -> State:
    """The adapter that a run after the first starts from.

    slao, slao-merge-a: A of the last fine-tuned adapter made orthonormal, its B as it is.
    slao-from-merged: so from the merged adapter, the paper's "last merge" initialisation, which it
    finds to be worse. slao-random: A drawn by `seed` and made orthonormal, B zero.
    slao-keep-function, an experiment: as slao, but B turned so that B A stays what it was.
    All others, slao-without-qr too: the last fine-tuned adapter as it is.

    Raises ValueError where the adapters do not fit together, or where A is to be orthonormal and
    the rank is more than the layer's input.
    """
    require_alike(fine_tuned, merged)
    start = {}
    for module, (key_a, key_b) in pairs_of(fine_tuned).items():
        source = merged if name == "slao-from-merged" else fine_tuned
        a, b = source[key_a], source[key_b]
        if name == "slao-random":
            generator = torch.Generator().manual_seed(_seed_of(module, seed))
            a, b = torch.randn(a.shape, generator=generator), torch.zeros(b.shape)
            start[key_a], start[key_b] = orthogonal(a)[0], b
        elif name in _ORTHOGONAL:
            start[key_a], r = orthogonal(a)
            start[key_b] = keep_function(b, r) if name == "slao-keep-function" else plain(b)
    return _with_the_rest(start, fine_tuned)


def merge_run(
    name: MergeName,
    merged: State | None,
    fine_tuned: State,
    number: int,
    *,
    density: float = 0.5,
    seed: int = 0,
) -> State:
    """The merged adapter after run `number`, counted from 1; `merged` is the one before. After the
    first run, and always for "none", it is the fine-tuned one.

    slao, and with another start slao-without-qr, slao-from-merged, slao-random, slao-keep-function:
    A is replaced, B moves to the new one by 1/sqrt(i) (the paper's asymmetric merge).
    slao-merge-a: A moves as B does.
    linear: the mean of all runs, of A and of B apart, as PEFT's "linear" has it. (Σ w B)(Σ w A) is
    not the mean of B A: it has cross terms w_i w_j B_i A_j of two runs, which nobody trained.
    svd: the mean of B A over all runs, exact, and then the nearest of the adapter's rank.
    ties, dare-linear, dare-ties: PEFT's, on A and on B apart, with the cross terms of linear,
    keeping `density` of the values, in (0, 1]; DARE draws by `seed` and the number.

    Raises ValueError where the adapters do not fit together.
    """
    if name == "none" or merged is None or number == 1:
        return _with_the_rest({}, fine_tuned)
    require_alike(fine_tuned, merged)
    merge = _pair_merge(name, number, density, seed)
    result = {}
    for module, (key_a, key_b) in pairs_of(fine_tuned).items():
        before, now = (merged[key_a], merged[key_b]), (fine_tuned[key_a], fine_tuned[key_b])
        result[key_a], result[key_b] = merge(before, now, module)
    return _with_the_rest(result, fine_tuned)


def _with_the_rest(found: State, fine_tuned: State) -> State:
    """In the order of the fine-tuned adapter, and what it alone has."""
    return {key: found[key] if key in found else plain(fine_tuned[key]) for key in fine_tuned}


def _pair_merge(name: MergeName, number: int, density: float, seed: int) -> MergePair:
    if name == "linear":
        return _move_both(1 / number)
    if name == "slao-merge-a":
        return _move_both(share_of(number))
    if name.startswith("slao"):
        return lambda old, new, _: (plain(new[0]), moved(old[1], new[1], share_of(number)))
    if name == "svd":
        return lambda old, new, _: nearest(old, new, 1 / number)
    return _of_peft(name, number, density, seed)


def _move_both(share: float) -> MergePair:
    return lambda old, new, _: (moved(old[0], new[0], share), moved(old[1], new[1], share))


def _of_peft(name: MergeName, number: int, density: float, seed: int) -> MergePair:
    """TIES (arXiv 2306.01708) and DARE (arXiv 2311.03099), as PEFT has them."""
    from peft.utils import merge_utils

    function = {
        "ties": merge_utils.ties,
        "dare-linear": merge_utils.dare_linear,
        "dare-ties": merge_utils.dare_ties,
    }[name]
    # Weights sum to one; where TIES takes the mean over those that agree, they sum to two, so that
    # it is the weighted mean where both do.
    weights = torch.tensor([(number - 1) / number, 1 / number])
    weights = weights if name == "dare-linear" else 2 * weights

    def merge(old: Pair, new: Pair, module: str) -> Pair:
        with _drawing(_seed_of(f"{number} {module}", seed)):
            a, b = (
                function([plain(x), plain(y)], weights, density)
                for x, y in zip(old, new, strict=True)
            )
        return a, b

    return merge


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Draw by `seed`, and leave the random numbers of everybody else as they were. Not
    torch.manual_seed, which would set those of the GPUs too."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _seed_of(name: str, seed: int) -> int:
    return zlib.crc32(f"{seed} {name}".encode())
