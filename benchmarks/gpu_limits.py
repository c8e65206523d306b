"""What NVML tells of the GPUs here, and what a run would do about it.

    python benchmarks/gpu_limits.py [--seconds N] [--busy]

Prints, of each GPU, the temperatures at which it protects itself (as absolute thresholds, and as
the distances that newer ones tell), why it is slowed down, its memory errors, who computes on it,
and the limits that a run would keep; then what the watch would do in each of N seconds (10), and at
temperatures around each limit. --busy multiplies matrices meanwhile, where torch has a GPU. Needs
psutil, pydantic and nvidia-ml-py.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import pynvml

from trainer_core.config.safety_section import SafetySection
from trainer_core.hardware.gpu_limits import DeviceLimits, run_limits
from trainer_core.hardware.gpu_watch import GpuWatch
from trainer_core.hardware.gpus import Gpu, GpuReader, visible_handles


def main() -> int:
    """Print all of it; returns 2 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="how long to watch")
    parser.add_argument("--busy", action="store_true", help="multiply matrices meanwhile")
    given = parser.parse_args()
    began = time.perf_counter()
    reader = GpuReader()
    gpus = reader.read()
    if not gpus:
        print(f"no GPU: {reader.note}")
        return 2
    print(
        f"first sample after {1e3 * (time.perf_counter() - began):.0f} ms; a sample and the limits:"
    )
    for gpu, limits in zip(gpus, reader.limits(), strict=True):
        tell(reader, gpu, limits)
    if given.busy:
        threading.Thread(target=multiply, daemon=True).start()
    watch(reader, given.seconds)
    for gpu, limits in zip(gpus, reader.limits(), strict=True):
        heat(gpu, limits)
    return 0


def tell(reader: GpuReader, gpu: Gpu, limits: DeviceLimits) -> None:
    """One GPU as our own reader sees it, and what it is made of."""
    print(f"  {gpu.model_dump_json()}")
    handle = visible_handles(gpu.uuid)[0] if gpu.uuid else None
    for name in ("SLOWDOWN", "SHUTDOWN", "GPU_MAX", "MEM_MAX"):
        kind = getattr(pynvml, f"NVML_TEMPERATURE_THRESHOLD_{name}")
        said(name, lambda kind=kind: pynvml.nvmlDeviceGetTemperatureThreshold(handle, kind))
    said("MARGIN", lambda: pynvml.nvmlDeviceGetMarginTemperature(handle))
    for name in ("SLOWDOWN", "SHUTDOWN", "GPU_MAX"):
        field = getattr(pynvml, f"NVML_FI_DEV_TEMPERATURE_{name}_TLIMIT")
        said(f"{name} distance", lambda field=field: distance(handle, field))
    said("reasons", lambda: hex(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)))
    said("reasons, old name", lambda: hex(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)))
    said("uncorrected ECC", lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, 1, 0))
    said("remapped rows", lambda: pynvml.nvmlDeviceGetRemappedRows(handle))
    print(f"  holders {[holder.model_dump() for holder in reader.holders(gpu.index)]}")
    print(f"  the device: {limits}")
    print(f"  a run:      {run_limits(SafetySection(), limits)}")


def distance(handle: Any, field: int) -> int:
    """A limit's distance as a field of NVML."""
    (answer,) = pynvml.nvmlDeviceGetFieldValues(handle, [field])
    if answer.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(answer.nvmlReturn)
    return int(answer.value.siVal)


def said(name: str, question: Callable[[], Any]) -> None:
    """Print an answer, or why there is none."""
    try:
        answer = question()
    except pynvml.NVMLError as error:
        answer = f"({error})"
    print(f"    {name:<18} {answer}")


def watch(reader: GpuReader, seconds: int) -> None:
    """What the watch would do, second by second, and what a look costs."""
    watching = GpuWatch(SafetySection(throttling="pause"), reader.limits())
    for second in range(seconds):
        began = time.perf_counter()
        gpus = reader.read()
        cost = 1e3 * (time.perf_counter() - began)
        state = "; ".join(
            f"{gpu.temperature} °C {gpu.utilization} % {gpu.power} W {gpu.throttling}"
            for gpu in gpus
        )
        print(f"second {second}: {state}; {cost:.1f} ms; {watching.look(gpus)}")
        time.sleep(1)


def heat(gpu: Gpu, limits: DeviceLimits) -> None:
    """What would be done if the GPU had other temperatures."""
    run = run_limits(SafetySection(), limits)
    watching = GpuWatch(SafetySection(), [limits] * (gpu.index + 1))
    for degrees in (run.warn - 1, run.warn, run.pause, run.pause - 4, run.pause - 5, run.stop):
        acts = watching.look([gpu.model_copy(update={"temperature": degrees, "throttling": []})])
        print(f"GPU {gpu.index} at {degrees:.0f} °C: {[f'{a.kind}: {a.message}' for a in acts]}")


def multiply() -> None:
    """Keep the first GPU busy."""
    import torch

    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    while True:
        a = torch.nn.functional.normalize(a @ a)
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
