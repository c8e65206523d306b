"""What merging a large adapter costs: time and memory of a merge and the next run's start, against
plainly reading and writing the same files.

    python benchmarks/merge_cost.py [--repeats 3] [--folder DIR]

The adapter is one of rank 64 for all linear layers of a model of 8B (the shape of Llama 3.1 8B),
336 MB in bfloat16. Every side reads the merged and the fine-tuned adapter and writes the new merged
one and the start of the next run, waiting for the disk; "copy" writes what it read. "slao" goes
tensor by tensor: half of them it only copies. "slao, at once" has the whole adapters in memory, as
between two runs of a training. SLAO should take no more than twice the copy's time, its QR apart,
and no more than twice its memory. Each measurement has a process of its own. Needs 1.4 GB in
--folder (the temporary folder if not given), which it leaves as it was.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from export.big_model import in_a_process, peak_memory

State = dict[str, Any]
RANK, LAYERS, HIDDEN, KEYS, INNER = 64, 32, 4096, 1024, 14336
# [out, in]
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (KEYS, HIDDEN),
    "self_attn.v_proj": (KEYS, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
SIDES = ["copy", "slao", "slao, at once", "linear", "svd"]
MOST = 2.0
NUMBER = 3  # of the run that is merged


def main() -> None:
    """All sides in turn; then the medians and the memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "FOLDER"))
    options = parser.parse_args()
    if options.one:
        measure(options.one[0], Path(options.one[1]))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        compare(Path(scratch), options.repeats)


def compare(folder: Path, repeats: int) -> None:
    """Make both adapters in `folder`, and measure every side."""
    size = make_adapters(folder)
    print(f"rank {RANK}, {LAYERS} layers: two files of {size / 1e6:.0f} MB, {os.cpu_count()} cores")
    print("                       time    QR, SVD      memory     of the work")
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    in_a_process(__file__, "--one", "copy", str(folder))  # the first after the making is slow
    shutil.rmtree(folder / "copy")
    said = {}
    for repeat in range(1, repeats + 1):
        for side, measured in found.items():
            measured.append(in_a_process(__file__, "--one", side, str(folder)))
            if repeat == 1 and side.startswith("slao"):
                said[side] = digest(folder / side)
            shutil.rmtree(folder / side)
            print(f"  {repeat}  {_row(side, measured[-1])}", flush=True)
    assert len(set(said.values())) == 1, "both ways of SLAO must give the same"
    median = {side: _median(measured) for side, measured in found.items()}
    copied = median["copy"]
    for side, ours in median.items():
        whole, rest = (
            (ours["seconds"] - apart) / copied["seconds"] for apart in (0, ours["linalg"])
        )
        memory = ours["grown"] / copied["grown"]
        print(
            f"{side:14}{whole:6.2f} times the copy's time, {rest:.2f} without QR and SVD; "
            f"{memory:.2f} times its memory"
        )
    ours = median["slao"]
    met = ours["seconds"] - ours["linalg"] <= MOST * copied["seconds"]
    met = met and ours["grown"] <= MOST * copied["grown"]
    print(f"slao, at most {MOST} times without the QR: {'met' if met else 'MISSED'}")


def make_adapters(folder: Path) -> int:
    """Write two adapters as PEFT does, and give the bytes of one."""
    import torch
    from safetensors.torch import save_file

    draw = torch.Generator().manual_seed(1)
    for name in ("merged", "fine-tuned"):
        path = folder / f"{name}.safetensors"
        tensors = {
            key: (torch.randn(shape, generator=draw) / 64).bfloat16()
            for key, shape in layout().items()
        }
        save_file(tensors, path, metadata={"format": "pt"})
    return path.stat().st_size


def measure(side: str, folder: Path) -> None:
    """Print what one side takes, without what is imported before it."""
    import torch

    from trainer_core.merging import methods  # noqa: F401 - not to be measured

    target = folder / side
    target.mkdir()
    watch = Stopwatch()
    torch.linalg.qr = watch.around(torch.linalg.qr)
    torch.linalg.svd = watch.around(torch.linalg.svd)
    before, began = peak_memory(), time.perf_counter()
    if side == "copy":
        copy(folder, target)
    elif side == "slao, at once":
        merge_at_once(folder, target)
    else:
        merge(side, folder, target)
    seconds, peak = time.perf_counter() - began, peak_memory()
    found = {"seconds": seconds, "linalg": watch.seconds, "peak": peak, "grown": peak - before}
    print(json.dumps(found))


def copy(folder: Path, target: Path) -> None:
    """Read both files and write them."""
    from safetensors.torch import load_file

    for source, name in (("merged", "merged"), ("fine-tuned", "start")):
        write(target / name, load_file(folder / f"{source}.safetensors"))


def merge_at_once(folder: Path, target: Path) -> None:
    """SLAO, with all of both adapters in memory."""
    from safetensors.torch import load_file

    from trainer_core.merging.methods import merge_run, start_of_run

    old, new = (load_file(folder / f"{name}.safetensors") for name in ("merged", "fine-tuned"))
    merged = merge_run("slao", old, new, NUMBER)
    write(target / "merged", {key: merged.pop(key).bfloat16() for key in list(merged)})
    start = start_of_run("slao", new, old, seed=0)
    write(target / "start", {key: start.pop(key).bfloat16() for key in list(start)})


def merge(name: Any, folder: Path, target: Path) -> None:
    """Any merge, a module at a time; SLAO only where something changes."""
    from trainer_core.merging.methods import merge_run, start_of_run
    from trainer_core.merging.slao import moved, orthogonal, share_of
    from trainer_core.merging.state import pairs_of

    with Written(target / "merged") as merged, Written(target / "start") as start:
        for old, new in layers(folder):
            for a, b in pairs_of(new).values():
                if name == "slao":
                    merged.add(new[a], moved(old[b], new[b], share_of(NUMBER)))
                    start.add(orthogonal(new[a])[0], new[b])
                else:
                    before, now = ({key: state[key] for key in (a, b)} for state in (old, new))
                    merged.add(*merge_run(name, before, now, NUMBER).values())
                    start.add(*start_of_run(name, now, before, seed=0).values())


def layers(folder: Path) -> Iterator[tuple[State, State]]:
    """Both adapters, a layer at a time. The files are opened anew for each, because what was read
    of a mapped file counts as memory until it is closed."""
    from safetensors import safe_open

    for layer in range(LAYERS):
        found = []
        for name in ("merged", "fine-tuned"):
            with safe_open(folder / f"{name}.safetensors", "pt") as file:
                found.append({key: file.get_tensor(key) for key in layout(layer)})
        yield found[0], found[1]


def layout(*numbers: int) -> dict[str, tuple[int, int]]:
    """The names and shapes of the tensors in layers, of all if none is given, in order."""
    found = {}
    for number in numbers or range(LAYERS):
        for place, (out, width) in SHAPES.items():
            key = f"base_model.model.model.layers.{number}.{place}"
            found[f"{key}.lora_A.weight"] = (RANK, width)
            found[f"{key}.lora_B.weight"] = (out, RANK)
    return found


class Written:
    """A safetensors file of the whole adapter in bfloat16, written a tensor at a time in the order
    of `layout`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def __enter__(self) -> "Written":
        header: dict[str, Any] = {}
        end = 0
        for key, shape in layout().items():
            begin, end = end, end + 2 * shape[0] * shape[1]
            header[key] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        self._file.write(len(text).to_bytes(8, "little") + text)
        return self

    def add(self, *tensors: Any) -> None:
        """The next tensors."""
        import torch

        for tensor in tensors:
            self._file.write(tensor.bfloat16().view(torch.uint8).numpy())

    def __exit__(self, *_: object) -> None:
        """Wait until it is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def write(path: Path, state: State) -> None:
    """Write it, and wait until it is on the disk."""
    from safetensors.torch import save_file

    save_file(state, path, metadata={"format": "pt"})
    with path.open("rb") as file:
        os.fsync(file.fileno())


def digest(folder: Path) -> str:
    """Of what both files say, whatever the order."""
    import torch
    from safetensors import safe_open

    found = hashlib.sha256()
    for name in ("merged", "start"):
        with safe_open(folder / name, "pt") as file:
            for key in layout():
                found.update(file.get_tensor(key).view(torch.uint8).numpy())
    return found.hexdigest()


class Stopwatch:
    """The time spent in functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments, **named)
            self.seconds += time.perf_counter() - began
            return result

        return timed


def _median(measured: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in measured) for key in measured[0]}


def _row(side: str, found: dict[str, float]) -> str:
    times = f"{found['seconds']:8.2f} s{found['linalg']:8.2f} s"
    return f"{side:14}{times}{found['peak'] / 1e6:9.0f} MB{found['grown'] / 1e6:9.0f} MB"


if __name__ == "__main__":
    main()
