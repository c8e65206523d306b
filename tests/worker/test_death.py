"""What is made of an exit code, of what the kernel counts, and of the end of a log."""

import signal
from pathlib import Path

import pytest

from trainer_core.errors import Cause
from trainer_core.hardware.doctor.surroundings import Surroundings
from trainer_core.runs.folder import RunFolder
from trainer_core.worker.death import Death, explain
from trainer_core.worker.memory_groups import MemoryGroup, killed_since, memory_groups
from trainer_core.worker.trouble import recognise

GIB = 1 << 30


@pytest.mark.parametrize(
    ("number", "cause", "words"),
    [
        (signal.SIGKILL, "killed", "killed from outside (SIGKILL)"),
        (signal.SIGTERM, "killed", "killed from outside (SIGTERM)"),
        (signal.SIGSEGV, "crashed", "native code (SIGSEGV)"),
        (signal.SIGILL, "crashed", "this CPU lacks an instruction"),
        (signal.SIGBUS, "crashed", "native code (SIGBUS)"),
    ],
)
def test_signals(tmp_path: Path, number: signal.Signals, cause: str, words: str) -> None:
    failed = explain(Death(code=-number, step=7), RunFolder(tmp_path))
    assert failed.cause == cause
    assert words in failed.message
    assert failed.step == 7
    assert failed.exit_status == 1
    assert str(RunFolder(tmp_path).worker_log) in failed.hint


@pytest.mark.parametrize("code", [0, 1, 77, None, -64, -250])
def test_anything_else_still_has_a_sentence(tmp_path: Path, code: int | None) -> None:
    failed = explain(Death(code=code), RunFolder(tmp_path))
    assert failed.cause == "crashed"
    assert failed.message


def test_a_kill_for_memory_has_its_numbers(tmp_path: Path) -> None:
    group = MemoryGroup(path="/ours", limit=2 * GIB, peak=2 * GIB, kills=1)
    failed = explain(Death(code=-9, group=group), RunFolder(tmp_path))
    assert failed.cause == "out-of-memory"
    assert "allows 2.0 GiB and used 2.0 GiB at most" in failed.message
    assert "batch_size" in failed.hint


def test_a_crash_is_no_kill_for_memory_though_another_was_killed(tmp_path: Path) -> None:
    group = MemoryGroup(path="/ours", kills=1)
    failed = explain(Death(code=-signal.SIGSEGV, group=group), RunFolder(tmp_path))
    assert failed.cause == "crashed"


# What torch adds to every error of CUDA, whatever it is (benchmarks/gpu_troubles.py).
ADDED = """Search for `cudaErrorIllegalAddress' in https://docs.nvidia.com/ for more information.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""


@pytest.mark.parametrize(
    ("text", "cause", "words"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "out-of-memory", "GPU ran out"),
        ("DefaultCPUAllocator: can't allocate memory: you tried", "out-of-memory", "ran out"),
        ("CUDA error: device-side assert triggered", "gpu", "a token or label"),
        ("CUDA error: an illegal memory access was encountered", "gpu", "where it may not"),
        ("NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.", "gpu", "GPU was lost"),
        ("CUDA error: uncorrectable ECC error encountered", "gpu", "ECC"),
        ("CUDA error: no kernel image is available for", "gpu", "no code for this GPU"),
        ("NVML: Driver/library version mismatch", "gpu", "driver does not fit"),
        ("torch.distributed.DistBackendError: NCCL error in: x.cpp", "gpu", "lost touch"),
        ("RuntimeError: CUDA error: unknown error", "gpu", "a CUDA error"),
        ("pynvml.NVMLError_Unknown: Unknown Error", "gpu", "a CUDA error"),
    ],
)
def test_what_libraries_say_is_understood(
    tmp_path: Path, text: str, cause: Cause, words: str
) -> None:
    for said in (text, f"{text}\n{ADDED}"):
        trouble = recognise(said)
        assert trouble is not None
        assert trouble.cause == cause
        assert words in trouble.message
        assert trouble.hint
    failed = explain(Death(code=1, output=f"something\n{text}\nmore"), RunFolder(tmp_path))
    assert failed.cause == cause


def test_what_has_another_reason_is_no_trouble_of_the_gpu() -> None:
    assert recognise("KeyError: 'cuda'") is None
    assert recognise("loaded in 3 s on cuda:0 without errors") is None


def test_who_killed_it_comes_before_what_the_log_says(tmp_path: Path) -> None:
    death = Death(code=-signal.SIGKILL, output="CUDA error: ignored long ago")
    assert explain(death, RunFolder(tmp_path)).cause == "killed"


def test_a_hung_job_is_told_with_what_it_was_doing(tmp_path: Path) -> None:
    death = Death(code=-9, step=812, silent=1801.0, stage="training")
    failed = explain(death, RunFolder(tmp_path))
    assert failed.cause == "hung"
    assert "no sign of life for 30 min 01 s in training after step 812" in failed.message
    assert "safety.stuck_seconds" in failed.hint


def lay_out(root: Path, files: dict[str, str]) -> Surroundings:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Surroundings(root)


def version_two(root: Path, kills: int, above: int) -> Surroundings:
    base = "sys/fs/cgroup/user.slice"
    return lay_out(
        root,
        {
            "proc/self/cgroup": "0::/user.slice/job\n",
            f"{base}/job/memory.events": f"low 0\nhigh 0\nmax 12\noom 2\noom_kill {kills}\n",
            f"{base}/job/memory.max": "max\n",
            f"{base}/job/memory.peak": f"{3 * GIB}\n",
            f"{base}/memory.events": f"max 31\noom_kill {above}\n",
            f"{base}/memory.max": f"{4 * GIB}\n",
            f"{base}/memory.peak": f"{4 * GIB}\n",
        },
    )


def test_version_two_of_the_control_groups(tmp_path: Path) -> None:
    before = memory_groups(version_two(tmp_path, 1, 5))
    assert [group.kills for group in before] == [1, 5]
    assert killed_since(before, before) is None
    killed = killed_since(before, memory_groups(version_two(tmp_path, 3, 7)))
    assert killed is not None
    assert killed.path == "/sys/fs/cgroup/user.slice/job"
    assert (killed.kills, killed.limit, killed.peak) == (2, 4 * GIB, 4 * GIB)
    above = killed_since(before, memory_groups(version_two(tmp_path, 1, 6)))
    assert above is not None
    assert above.path == "/sys/fs/cgroup/user.slice"


def version_one(root: Path, kills: str) -> Surroundings:
    base = "sys/fs/cgroup/memory/slurm/job_7"
    return lay_out(
        root,
        {
            "proc/self/cgroup": "9:cpu,cpuacct:/slurm\n4:memory:/slurm/job_7\n",
            f"{base}/memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\n{kills}",
            f"{base}/memory.failcnt": "41\n",
            f"{base}/memory.limit_in_bytes": f"{2 * GIB}\n",
            f"{base}/memory.max_usage_in_bytes": f"{2 * GIB}\n",
        },
    )


def test_version_one_of_the_control_groups(tmp_path: Path) -> None:
    before = memory_groups(version_one(tmp_path, "oom_kill 0\n"))
    killed = killed_since(before, memory_groups(version_one(tmp_path, "oom_kill 1\n")))
    assert killed is not None
    assert (killed.kills, killed.limit, killed.hits) == (1, 2 * GIB, 41)


def test_a_kernel_that_counts_no_kills_says_nothing(tmp_path: Path) -> None:
    groups = memory_groups(version_one(tmp_path, ""))
    assert [(group.kills, group.hits) for group in groups] == [(None, 41)]
    assert killed_since(groups, groups) is None


def test_no_control_groups_at_all(tmp_path: Path) -> None:
    assert memory_groups(Surroundings(tmp_path)) == []
