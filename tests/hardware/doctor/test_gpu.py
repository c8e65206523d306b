"""The GPU, its driver, and the build of torch. The driver is laid out: there may be none here."""

from pathlib import Path

import pynvml
import pytest

from tests.hardware.doctor.laid_out import NO_GPU, install, machine, packages_of
from trainer_core.hardware.doctor import gpu
from trainer_core.hardware.doctor.driver import Driver, read_driver
from trainer_core.hardware.doctor.finding import Finding
from trainer_core.hardware.doctor.torch_build import torch_build
from trainer_core.hardware.gpu_limits import DeviceLimits
from trainer_core.hardware.gpus import Gpu

CARD = {"sys/bus/pci/devices/0/vendor": "0x10de\n", "sys/bus/pci/devices/0/class": "0x030200\n"}
MODULE = {
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun\n"
}
GIB = 1 << 30


def h100(used: int = 0, capability: tuple[int, int] = (9, 0)) -> Driver:
    card = Gpu(index=0, name="NVIDIA H100", uuid="GPU-1", memory_used=used, memory_total=80 * GIB)
    return Driver(
        version="580.65.06", cuda=(13, 0), installed=1, gpus=[card], capabilities=[capability]
    )


def look(tmp_path: Path, driver: Driver, files: dict[str, str] | None = None) -> list[Finding]:
    return list(gpu.look(machine(tmp_path, files or {}, driver)))


def torch(tmp_path: Path, version: str, cuda: str | None, hip: str | None = None) -> None:
    install(tmp_path, "torch", version)
    file = packages_of(tmp_path) / "torch" / "version.py"
    file.parent.mkdir()
    file.write_text(
        f"__version__ = '{version}'\ncuda: Optional[str] = {cuda!r}\nhip: Optional[str] = {hip!r}\n"
    )


def test_no_gpu_is_a_note(tmp_path: Path) -> None:
    (found,) = look(tmp_path, NO_GPU)
    assert found.level == "note"
    assert "training uses the CPU" in found.text


@pytest.mark.parametrize(
    ("error", "words", "command"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "not installed", ""),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "not loaded", "sudo modprobe nvidia"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "not of the version", "sudo reboot"),
        (pynvml.NVML_ERROR_UNKNOWN, "does not answer: Odd", "nvidia-smi"),
    ],
)
def test_a_card_without_a_working_driver_is_a_problem(
    tmp_path: Path, error: int, words: str, command: str
) -> None:
    (found,) = look(tmp_path, Driver(error=error, words="Odd"), CARD)
    assert found.level == "problem"
    assert words in found.text
    assert found.command == command


def test_a_card_of_another_maker_is_none(tmp_path: Path) -> None:
    other = {**CARD, "sys/bus/pci/devices/0/vendor": "0x1002\n"}
    (found,) = look(tmp_path, NO_GPU, other)
    assert found.level == "note"


def test_the_loaded_version_is_named_where_the_library_is_another(tmp_path: Path) -> None:
    mismatch = Driver(error=pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
    (found,) = look(tmp_path, mismatch, MODULE)
    assert "(580.65.06)" in found.text


def test_a_gpu_with_its_memory_and_capability(tmp_path: Path) -> None:
    driver, card = look(tmp_path, h100())
    assert driver.text == "NVIDIA driver 580.65.06, for CUDA up to 13.0."
    assert card.text == "GPU 0, NVIDIA H100, has 80.0 GiB and compute capability 9.0."
    assert {driver.level, card.level} == {"ok"}


def test_memory_that_others_use_is_said(tmp_path: Path) -> None:
    *_, busy = look(tmp_path, h100(used=30 * GIB))
    assert (busy.level, busy.command) == ("note", "nvidia-smi")
    assert "30.0 GiB of GPU 0" in busy.text


def test_the_limits_of_its_temperature_and_those_of_a_run(tmp_path: Path) -> None:
    driver = h100()
    driver.limits = [DeviceLimits(slowdown=89, shutdown=95)]
    heat = look(tmp_path, driver)[-1]
    assert heat.level == "ok"
    assert heat.text == (
        "GPU 0 slows down at 89 °C and shuts down at 95 °C; a run warns at 84, pauses at 89 and "
        "stops at 93 °C."
    )
    driver.limits = [DeviceLimits()]
    assert "names no limit; a run warns at 82" in look(tmp_path, driver)[-1].text


def test_memory_that_fails(tmp_path: Path) -> None:
    driver = h100()
    driver.limits = [DeviceLimits()]
    driver.gpus[0].memory_errors = 4
    broken = look(tmp_path, driver)[-1]
    assert (broken.level, broken.command) == ("warning", "sudo nvidia-smi --gpu-reset -i GPU-1")
    assert "4 uncorrected errors" in broken.text
    driver.gpus[0].memory_errors, driver.gpus[0].remap_pending = 0, True
    assert look(tmp_path, driver)[-1].level == "note"


def test_a_gpu_that_fell_off_the_bus(tmp_path: Path) -> None:
    driver = h100()
    driver.gpus[0] = Gpu(index=0, name="GPU")
    assert look(tmp_path, driver)[-1].level == "problem"


def test_a_gpu_that_shares_the_memory_of_the_machine_is_fine(tmp_path: Path) -> None:
    driver = h100()
    driver.gpus[0] = Gpu(index=0, name="NVIDIA GB10", uuid="GPU-1")
    assert look(tmp_path, driver)[-1].level == "ok"


def test_gpus_that_a_variable_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    hidden = Driver(version="580.65.06", cuda=(13, 0), installed=2)
    assert look(tmp_path, hidden)[-1].command == "unset CUDA_VISIBLE_DEVICES"


def test_a_gpu_and_a_torch_without_cuda_is_a_problem(tmp_path: Path) -> None:
    torch(tmp_path, "2.13.0+cpu", None)
    found = look(tmp_path, h100())[-1]
    assert (found.level, found.command) == ("problem", "make install-gpu")
    assert look(tmp_path, NO_GPU)[-1].level == "ok"


@pytest.mark.parametrize(("cuda", "level"), [("13.0", "ok"), ("12.8", "ok"), ("14.1", "problem")])
def test_the_driver_must_know_the_cuda_of_torch(tmp_path: Path, cuda: str, level: str) -> None:
    torch(tmp_path, "2.13.0", cuda)
    assert look(tmp_path, h100())[-1].level == level


@pytest.mark.parametrize(
    ("capability", "level"),
    [((7, 5), "note"), ((7, 0), "problem"), ((6, 1), "problem"), ((8, 0), None)],
)
def test_old_gpus(tmp_path: Path, capability: tuple[int, int], level: str | None) -> None:
    torch(tmp_path, "2.13.0", "13.0")
    bad = [one for one in look(tmp_path, h100(capability=capability)) if one.level != "ok"]
    assert [one.level for one in bad] == ([level] if level else [])


def test_the_build_of_torch_is_known_without_importing_it(tmp_path: Path) -> None:
    assert torch_build(machine(tmp_path, {})) is None
    torch(tmp_path, "2.13.0", None, hip="7.1")
    build = torch_build(machine(tmp_path, {}))
    assert build is not None
    assert (build.cuda, build.hip) == ("", "7.1")
    assert "ROCm 7.1" in look(tmp_path, NO_GPU)[-1].text


@pytest.mark.parametrize(("version", "cuda"), [("2.9.1+cu130", "13.0"), ("2.9.1+cpu", "")])
def test_without_its_files_the_version_tells(tmp_path: Path, version: str, cuda: str) -> None:
    install(tmp_path, "torch", version)
    build = torch_build(machine(tmp_path, {}))
    assert build is not None
    assert build.cuda == cuda


def test_what_nvml_answers_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", lambda: b"580.65.06")
    monkeypatch.setattr(pynvml, "nvmlSystemGetCudaDriverVersion_v2", lambda: 12080)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 0)
    driver = read_driver()
    assert (driver.version, driver.cuda, driver.error) == ("580.65.06", (12, 8), 0)


def test_a_driver_that_does_not_answer_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)

    monkeypatch.setattr(pynvml, "nvmlInit", fails)
    driver = read_driver()
    assert driver.error == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    assert driver.words
