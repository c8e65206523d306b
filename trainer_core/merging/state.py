"""An adapter's weights, as PEFT saves them: by name, A is [rank, in], B is [out, rank]."""

import torch

State = dict[str, torch.Tensor]
_A, _B = ".lora_A.", ".lora_B."


def pairs_of(state: State) -> dict[str, tuple[str, str]]:
    """The keys of A and of B for each module. Raises ValueError where one half is missing."""
    found = {}
    for key in state:
        if _A in key:
            other = key.replace(_A, _B)
            if other not in state:
                raise ValueError(f"{key} has no B beside it")
            found[key.partition(_A)[0]] = (key, other)
        elif _B in key and key.replace(_B, _A) not in state:
            raise ValueError(f"{key} has no A beside it")
    return found


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 on the CPU, in which everything here is computed."""
    return tensor.detach().to(device="cpu", dtype=torch.float32)


def require_alike(first: State, second: State) -> None:
    """Raises ValueError unless both are adapters of one shape."""
    shapes = [{name: tuple(x.shape) for name, x in state.items()} for state in (first, second)]
    if shapes[0] != shapes[1]:
        apart = sorted(set(shapes[0].items()) ^ set(shapes[1].items()))
        raise ValueError(f"the adapters differ in shape: {apart[0][0]}")
