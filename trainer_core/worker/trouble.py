"""What an error of a library, or the end of a log, says about why a job ended, in plain words."""

import re
from dataclasses import dataclass

from trainer_core.errors import Cause


@dataclass(frozen=True)
class Trouble:
    """A reason that a person can understand, and what to do about it."""

    cause: Cause
    message: str
    hint: str


_MEMORY = "Lower training.batch_size or model.max_length."
_DRIVER = "`backprop doctor` compares the driver with the libraries."
_RERUN = "If it happens again at the same step, run with CUDA_LAUNCH_BLOCKING=1 in the environment."

# From particular to general: the first that is found anywhere decides.
_KNOWN: tuple[tuple[str, Trouble], ...] = (
    (
        r"CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED",
        Trouble("out-of-memory", "the GPU ran out of memory", _MEMORY),
    ),
    (
        r"can't allocate memory|std::bad_alloc|Cannot allocate memory",
        Trouble("out-of-memory", "the job ran out of memory", _MEMORY),
    ),
    (
        r"fallen off the bus|GPU is lost|NVML_ERROR_GPU_IS_LOST|Xid[^\n]{0,40}: 79\b",
        Trouble(
            "gpu",
            "the GPU was lost: it no longer answers on the bus",
            "Heat, power or the card itself: look at `dmesg`, and restart the machine.",
        ),
    ),
    (
        r"uncorrectable ECC|NVML_ERROR_CORRUPTED|Xid[^\n]{0,40}: (48|63|64|94|95)\b",
        Trouble(
            "gpu",
            "the GPU's memory gave a wrong answer (an uncorrectable ECC error)",
            "Reset the GPU or restart the machine; if it comes back, the card wants replacing.",
        ),
    ),
    (
        r"device-side assert triggered|cudaErrorAssert\b",
        Trouble(
            "gpu",
            "a check on the GPU failed (device-side assert), most often a token or label that the "
            "model does not have",
            f"See whether tokenizer and base model belong together. {_RERUN}",
        ),
    ),
    (
        r"illegal memory access|misaligned address|unspecified launch failure",
        Trouble(
            "gpu",
            "a program on the GPU read or wrote where it may not",
            f"This is a bug of a library, or a failing GPU. {_RERUN}",
        ),
    ),
    (
        r"no kernel image is available",
        Trouble("gpu", "this build of torch has no code for this GPU", _DRIVER),
    ),
    (
        r"Driver/library version mismatch|driver version is insufficient|"
        r"forward compatibility was attempted",
        Trouble("gpu", "the GPU's driver does not fit the libraries", _DRIVER),
    ),
    (
        r"NCCL error|ncclSystemError|ncclRemoteError|ncclUnhandledCudaError|"
        r"Watchdog caught collective operation timeout",
        Trouble(
            "gpu",
            "the GPUs lost touch with one another (NCCL)",
            "One of them, or its process, ended first: look further up in the log.",
        ),
    ),
    (
        r"CUDA error|CUDA driver error|cudaError|CUDNN_STATUS|CUBLAS_STATUS|NVMLError|NVML_ERROR|"
        r"NVRM: Xid",
        Trouble("gpu", "the GPU or its driver failed (a CUDA error)", f"{_RERUN} {_DRIVER}"),
    ),
)
_PATTERNS = tuple((re.compile(pattern), trouble) for pattern, trouble in _KNOWN)


def recognise(text: str) -> Trouble | None:
    """The trouble that `text` speaks of; None for anything else."""
    for pattern, trouble in _PATTERNS:
        if pattern.search(text):
            return trouble
    return None
