"""An adapter's weights, as PEFT saves them: by name, A is [rank, in], B is [out, rank]."""

import re

import torch

State = dict[str, torch.Tensor]
# "….q_proj.lora_A.weight", and of an embedding "….embed_tokens.lora_embedding_A", whose `in` are
# its tokens. "….lora_B.bias" is neither of them.
_HALF = re.compile(r"^(?P<module>.+)\.lora_(embedding_)?(?P<half>[AB])(\.(?!bias$).+)?$")


def pairs_of(state: State) -> dict[str, tuple[str, str]]:
    """The keys of A and of B for each module. Raises ValueError where one half is missing."""
    halves: dict[str, dict[str, str]] = {}
    for key in state:
        match = _HALF.match(key)
        if match:
            halves.setdefault(match["module"], {})[match["half"]] = key
    for found in halves.values():
        for half, other in ("AB", "BA"):
            if other not in found:
                raise ValueError(f"{found[half]} has no {other} beside it")
    return {module: (found["A"], found["B"]) for module, found in halves.items()}


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 on the CPU, in which everything here is computed; the same one, not a
    copy, where it already is."""
    return tensor.detach().to(device="cpu", dtype=torch.float32)


def require_alike(first: State, second: State) -> None:
    """Raises ValueError unless both are adapters of one shape."""
    shapes = [{name: tuple(x.shape) for name, x in state.items()} for state in (first, second)]
    if shapes[0] != shapes[1]:
        apart = sorted(set(shapes[0].items()) ^ set(shapes[1].items()))
        raise ValueError(f"the adapters differ in shape: {apart[0][0]}")
