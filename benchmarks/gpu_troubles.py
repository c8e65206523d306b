"""What is made of a GPU's own words: it fails in real ways, each in a process of its own.

    python benchmarks/gpu_troubles.py

Needs a GPU and torch. For each way the last line of the error and the trouble that
trainer_core/worker/trouble.py recognises in it; exit status 1 if one is not the expected cause.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from trainer_core.worker.trouble import recognise  # noqa: E402

COMPILE = "k = torch.cuda._compile_kernel({source!r}, 'k')\n"
LAUNCH = "k((1, 1, 1), (1, 1, 1), (torch.zeros(4, device='cuda'),))\ntorch.cuda.synchronize()"
KERNEL = 'extern "C" __global__ void k(float* x) {{ {body} }}'


def kernel(body: str) -> str:
    """A program that runs `body` (CUDA C, with a float* x) once on the GPU."""
    return COMPILE.format(source=KERNEL.format(body=body)) + LAUNCH


NCCL = """
import torch.distributed as d, torch.multiprocessing as m
def go(rank):
    d.init_process_group("nccl", init_method="tcp://127.0.0.1:29517", rank=rank, world_size=2)
    d.all_reduce(torch.ones(1, device="cuda"))
    torch.cuda.synchronize()
m.start_processes(go, nprocs=2, start_method="fork")
"""
# A way to fail: what is run, and a word of what we should say of it.
WAYS = {
    "out of memory": ("torch.empty(1 << 42, device='cuda')", "ran out of memory"),
    "no memory for cuBLAS": (
        "a = torch.ones(64, 64, device='cuda'); held = []\n"
        "for size in (1 << 30, 1 << 20, 1 << 10):\n"
        "    try:\n"
        "        while True: held.append(torch.empty(size, dtype=torch.uint8, device='cuda'))\n"
        "    except torch.OutOfMemoryError: pass\n"
        "a @ a; torch.cuda.synchronize()",
        "ran out of memory",
    ),
    "a token that is not there": (
        "torch.nn.Embedding(4, 4).cuda()(torch.tensor([9]).cuda()); torch.cuda.synchronize()",
        "device-side assert",
    ),
    "a label that is not there": (
        "torch.nn.functional.cross_entropy(torch.zeros(2, 4).cuda(), torch.tensor([1, 9]).cuda())"
        "; torch.cuda.synchronize()",
        "device-side assert",
    ),
    "memory that is not there": (
        kernel("x[1ull << 40] = 1;"),
        "read or wrote where it may not",
    ),
    "half an address": (
        kernel("*(double*)((char*)x + 1) = 1;"),
        "read or wrote where it may not",
    ),
    "a trap": (kernel('asm("trap;");'), "read or wrote where it may not"),
    "a GPU that is not there": ("torch.zeros(1, device='cuda:63')", "the GPU or its driver failed"),
    "two processes for one GPU": (NCCL, "lost touch with one another"),
}


def main() -> int:
    """Print a line a way; returns 1 if one is not recognised."""
    wrong = 0
    for name, (program, expected) in WAYS.items():
        done = subprocess.run(
            [sys.executable, "-c", f"import torch\n{program}"],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "TORCH_SHOW_CPP_STACKTRACES": "0"},
        )
        lines = [line for line in done.stderr.splitlines() if "rror" in line]
        found = recognise(done.stderr)
        said = found.message if found is not None else "nothing"
        good = done.returncode != 0 and expected in said
        wrong += not good
        print(f"{'  ' if good else '! '}{name}: {said}\n      {' / '.join(lines[-2:])[:200]}")
    print(f"{len(WAYS) - wrong} of {len(WAYS)} recognised")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
