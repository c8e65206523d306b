"""A stand-in for NVML where there is no GPU: the file that STAND_IN_GPUS names says what there is.

With this folder first in PYTHONPATH, real processes of ours see these GPUs; within a test,
`install` puts them in the place of the real answers. What a GPU in the file does not tell, NVML
does not support.
"""

import json
import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

HERE = Path(__file__).parent


def _real() -> ModuleType:
    spec = PathFinder.find_spec("pynvml", [p for p in sys.path if Path(p or ".") != HERE])
    assert spec is not None
    assert spec.loader is not None
    module, ours = module_from_spec(spec), sys.modules["pynvml"]
    sys.modules["pynvml"] = module  # it looks itself up there
    spec.loader.exec_module(module)
    sys.modules["pynvml"] = ours
    return module


if __name__ == "pynvml":
    REAL: Any = _real()
else:
    import pynvml

    REAL = pynvml
globals().update({name: value for name, value in vars(REAL).items() if not name.startswith("__")})


def write(path: Path, *gpus: dict[str, Any]) -> None:
    """Let these be the GPUs; readers see the old ones or the new ones."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(gpus))
    new.replace(path)


def _gpus() -> list[dict[str, Any]]:
    return json.loads(Path(os.environ["STAND_IN_GPUS"]).read_text())


def _fail(error: int) -> Any:
    raise REAL.NVMLError(error)


def _of(handle: int) -> dict[str, Any]:
    gpu = _gpus()[handle]
    if "error" in gpu:
        _fail(getattr(REAL, gpu["error"]))
    return gpu


def _tell(handle: int, name: str) -> Any:
    value = _of(handle).get(name)
    return _fail(REAL.NVML_ERROR_NOT_SUPPORTED) if value is None else value


def _by_uuid(uuid: str) -> int:
    found = [index for index, gpu in enumerate(_gpus()) if gpu["uuid"] == uuid]
    return found[0] if found else _fail(REAL.NVML_ERROR_NOT_FOUND)


def _memory(handle: int) -> SimpleNamespace:
    total, used = _tell(handle, "total"), _tell(handle, "used")
    return SimpleNamespace(total=total, used=used, free=total - used)


def _threshold(handle: int, kind: int) -> int:
    names = {
        REAL.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN: "slowdown",
        REAL.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN: "shutdown",
        REAL.NVML_TEMPERATURE_THRESHOLD_GPU_MAX: "maximum",
    }
    return _tell(handle, names.get(kind, "other"))


def _fields(handle: int, ids: list[int]) -> list[Any]:
    names = {
        REAL.NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT: "slowdown_distance",
        REAL.NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT: "shutdown_distance",
        REAL.NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT: "maximum_distance",
    }
    told = [_of(handle).get(names[one]) for one in ids]
    return [
        SimpleNamespace(
            nvmlReturn=REAL.NVML_SUCCESS if value is not None else REAL.NVML_ERROR_NOT_SUPPORTED,
            value=SimpleNamespace(siVal=value),
        )
        for value in told
    ]


def _processes(handle: int) -> list[SimpleNamespace]:
    found = _of(handle).get("processes", [])
    return [SimpleNamespace(pid=one["pid"], usedGpuMemory=one.get("memory")) for one in found]


def _process_name(pid: int) -> str:
    everyone = [one for gpu in _gpus() for one in gpu.get("processes", [])]
    names = [one["name"] for one in everyone if one["pid"] == pid and "name" in one]
    return names[0] if names else _fail(REAL.NVML_ERROR_NOT_FOUND)


ANSWERS = {
    "nvmlInit": lambda: None,
    "nvmlSystemGetDriverVersion": lambda: "580.65.06",
    "nvmlSystemGetCudaDriverVersion_v2": lambda: 13000,
    "nvmlSystemGetProcessName": _process_name,
    "nvmlDeviceGetCount": lambda: len(_gpus()),
    "nvmlDeviceGetHandleByIndex": lambda index: index,
    "nvmlDeviceGetHandleByUUID": _by_uuid,
    "nvmlDeviceGetUUID": lambda handle: _tell(handle, "uuid"),
    "nvmlDeviceGetName": lambda handle: _tell(handle, "name"),
    "nvmlDeviceGetMemoryInfo": _memory,
    "nvmlDeviceGetTemperature": lambda handle, _: _tell(handle, "temperature"),
    "nvmlDeviceGetTemperatureThreshold": _threshold,
    "nvmlDeviceGetMarginTemperature": lambda handle: _tell(handle, "margin"),
    "nvmlDeviceGetFieldValues": _fields,
    "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: _tell(handle, "reasons"),
    "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: _tell(handle, "old_reasons"),
    "nvmlDeviceGetTotalEccErrors": lambda handle, *_: _tell(handle, "errors"),
    "nvmlDeviceGetRemappedRows": lambda handle: _tell(handle, "rows"),
    "nvmlDeviceGetComputeRunningProcesses": _processes,
}
globals().update(ANSWERS)


def install(monkeypatch: Any, path: Path, *gpus: dict[str, Any]) -> None:
    """Let these be the GPUs of this process; `write` to `path` to change them."""
    write(path, *gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("STAND_IN_GPUS", str(path))
    for name, answer in ANSWERS.items():
        monkeypatch.setattr(REAL, name, answer)
