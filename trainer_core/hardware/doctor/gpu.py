"""The GPU, its driver, and a torch that can use them."""

import os
from collections.abc import Iterator

import pynvml

from trainer_core.config.safety_section import SafetySection
from trainer_core.hardware.doctor.driver import Driver
from trainer_core.hardware.doctor.finding import Finding, note, ok, problem, warning
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.hardware.doctor.torch_build import TorchBuild, torch_build
from trainer_core.hardware.gpu_limits import DeviceLimits, run_limits
from trainer_core.hardware.gpus import Gpu
from trainer_core.text import size

AREA = "gpu"
NVIDIA = "0x10de"
# Unsloth starts at Volta (7.0); CUDA 13 has left everything before Turing (7.5) behind.
UNSLOTH_NEEDS, CUDA_13_NEEDS, BFLOAT16_NEEDS = (7, 0), (7, 5), (8, 0)
# What a desktop or the driver itself takes is not worth a word.
BUSY_BYTES = 1 << 30


def look(place: Surroundings) -> Iterator[Finding]:
    """The driver, each GPU, and whether torch was built for them."""
    driver, build = place.driver, torch_build(place)
    if driver.error:
        yield _no_driver(place, driver)
    else:
        yield from _driver(driver)
        for gpu, capability in zip(driver.gpus, driver.capabilities, strict=True):
            yield from _gpu(gpu, capability, build)
        for gpu, limits in zip(driver.gpus, driver.limits, strict=False):
            yield from _heat(gpu, limits)
            yield from _memory(gpu)
    if build is not None:
        yield _torch(build, driver)


def _no_driver(place: Surroundings, driver: Driver) -> Finding:
    if driver.error == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        loaded = _kernel_module(place)
        return problem(
            AREA,
            f"NVIDIA's library is not of the version of the driver that is loaded{loaded}, as "
            "after an update without a restart.",
            "Restart the machine when nothing runs on it.",
            "sudo reboot",
        )
    if not _has_nvidia_card(place):
        return note(
            AREA,
            "There is no NVIDIA GPU here; training uses the CPU.",
            "Small models train on a CPU; for larger ones take a machine with a GPU.",
        )
    if driver.error == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return problem(
            AREA,
            "An NVIDIA GPU is here, and its driver is not installed or not visible.",
            "Install NVIDIA's driver; in a container, start it with --gpus all.",
        )
    if driver.error == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return problem(
            AREA,
            "An NVIDIA GPU is here, and its driver is not loaded.",
            "Load it; if that fails, install the driver for this kernel.",
            "sudo modprobe nvidia",
        )
    return problem(
        AREA,
        f"An NVIDIA GPU is here, and its driver does not answer: {driver.words}.",
        "See what NVIDIA's own tool says.",
        "nvidia-smi",
    )


def _kernel_module(place: Surroundings) -> str:
    words = (place.read("proc/driver/nvidia/version") or "").split()
    versions = [word for word in words if word.count(".") >= 1 and word.replace(".", "").isdigit()]
    return f" ({versions[0]})" if versions else ""


def _has_nvidia_card(place: Surroundings) -> bool:
    """Whether a display or 3D controller of NVIDIA is on the bus."""
    devices = place.root / "sys/bus/pci/devices"
    for device in devices.iterdir() if devices.is_dir() else ():
        here = f"sys/bus/pci/devices/{device.name}"
        vendor, kind = place.read(f"{here}/vendor") or "", place.read(f"{here}/class") or ""
        if vendor.strip() == NVIDIA and kind.startswith("0x03"):
            return True
    return (place.root / "proc/driver/nvidia/version").exists()


def _driver(driver: Driver) -> Iterator[Finding]:
    cuda = f", for CUDA up to {_dotted(driver.cuda)}" if driver.cuda else ""
    yield ok(AREA, f"NVIDIA driver {driver.version}{cuda}.")
    if driver.gpus:
        return
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if driver.installed and hidden is not None:
        yield warning(
            AREA,
            f"CUDA_VISIBLE_DEVICES={hidden!r} hides all {driver.installed} GPUs; training uses the "
            "CPU.",
            "Take the variable away, or name a GPU in it.",
            "unset CUDA_VISIBLE_DEVICES",
        )
    else:
        yield problem(
            AREA,
            "The driver is here and shows no GPU.",
            "See what NVIDIA's own tool says; in a container, start it with --gpus all.",
            "nvidia-smi",
        )


def _gpu(
    gpu: Gpu, capability: tuple[int, int] | None, build: TorchBuild | None
) -> Iterator[Finding]:
    name = f"GPU {gpu.index}, {gpu.name},"
    if not gpu.uuid:
        yield problem(
            AREA,
            f"{name} does not answer; it may have fallen off the bus.",
            "See what NVIDIA's own tool says; often only a restart helps.",
            "nvidia-smi",
        )
        return
    # A GPU that shares the machine's memory does not say how much it has.
    memory = size(gpu.memory_total) if gpu.memory_total else "memory that NVML does not count"
    words = f" and compute capability {_dotted(capability)}" if capability else ""
    yield ok(AREA, f"{name} has {memory}{words}.")
    if (gpu.memory_used or 0) > BUSY_BYTES:
        yield note(
            AREA,
            f"{size(gpu.memory_used or 0)} of GPU {gpu.index} are in use already.",
            "See by what; a new run has only the rest.",
            "nvidia-smi",
        )
    if capability is not None:
        yield from _old(name, capability, build)


def _heat(gpu: Gpu, device: DeviceLimits) -> Iterator[Finding]:
    """At which temperatures the GPU protects itself, and at which a run that sets nothing does."""
    if not gpu.uuid:
        return
    names = {"slows down": device.slowdown, "shuts down": device.shutdown}
    told = [f"{does} at {degrees:.0f} °C" for does, degrees in names.items() if degrees is not None]
    own = f"GPU {gpu.index} {' and '.join(told)}" if told else f"GPU {gpu.index} names no limit"
    run = run_limits(SafetySection(), device)
    yield ok(
        AREA,
        f"{own}; a run warns at {run.warn:.0f}, pauses at {run.pause:.0f} and stops at "
        f"{run.stop:.0f} °C.",
    )


def _memory(gpu: Gpu) -> Iterator[Finding]:
    if gpu.memory_errors:
        yield warning(
            AREA,
            f"GPU {gpu.index} has seen {gpu.memory_errors} uncorrected errors of its memory since "
            "its driver was loaded.",
            "Reset it when nothing runs on it; should they come back, its memory is failing.",
            f"sudo nvidia-smi --gpu-reset -i {gpu.uuid}",
        )
    elif gpu.remap_pending:
        yield note(
            AREA,
            f"GPU {gpu.index} wants to take rows of its memory out of use, which needs a reset.",
            "Reset it when nothing runs on it.",
            f"sudo nvidia-smi --gpu-reset -i {gpu.uuid}",
        )


def _old(name: str, capability: tuple[int, int], build: TorchBuild | None) -> Iterator[Finding]:
    words = _dotted(capability)
    if build and _major(build.cuda) >= 13 and capability < CUDA_13_NEEDS:
        yield problem(
            AREA,
            f"{name} is older (compute capability {words}) than what torch {build.version} for "
            f"CUDA {build.cuda} runs on (7.5).",
            "Install a torch that was built for CUDA 12.",
        )
    elif capability < UNSLOTH_NEEDS:
        yield warning(
            AREA,
            f"{name} is older (compute capability {words}) than what Unsloth runs on (7.0).",
            "Train with plain transformers: --no-unsloth.",
        )
    elif capability < BFLOAT16_NEEDS:
        yield note(
            AREA,
            f"{name} has no bfloat16 (compute capability {words}); training takes float16.",
            "Nothing needs to be set. Should the loss become NaN: training.precision=float32.",
        )


def _torch(build: TorchBuild, driver: Driver) -> Finding:
    if build.hip:
        return ok(AREA, f"torch {build.version} is built for AMD's ROCm {build.hip}.")
    if not build.cuda:
        if driver.installed:
            return problem(
                AREA,
                f"There is a GPU, and torch {build.version} is the build without CUDA.",
                "Install the GPU set; in a checkout:",
                "make install-gpu",
            )
        return ok(AREA, f"torch {build.version} is the build for the CPU.")
    if driver.cuda is not None and driver.cuda[0] < _major(build.cuda):
        return problem(
            AREA,
            f"torch {build.version} is built for CUDA {build.cuda}, and the driver "
            f"{driver.version} ends at CUDA {_dotted(driver.cuda)}.",
            "Install a newer driver, or a torch built for an older CUDA.",
        )
    return ok(AREA, f"torch {build.version} is built for CUDA {build.cuda}.")


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0
