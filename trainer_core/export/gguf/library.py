"""llama.cpp as a library: whether it is there, and where its words go."""

import ctypes
import logging
from collections import deque
from typing import Any

from trainer_core.errors import UserError
from trainer_core.text import one_line

_log = logging.getLogger(__name__)
# ggml's levels; what it says of every tensor is for those who debug.
_WARNING, _ERROR = 3, 4
_LEVELS = {_WARNING: logging.WARNING, _ERROR: logging.ERROR}


def require_llama_cpp() -> Any:
    """The module llama_cpp. Raises UserError, saying how to add it, where it is missing."""
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"llama.cpp is needed for this, and cannot be loaded ({error})",
            hint="Add it with `make install-export`, or with CMAKE_ARGS="
            '"-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON '
            '-DGGML_BMI2=ON" pip install llama-cpp-python',
        ) from None
    _quiet(llama_cpp)
    return llama_cpp


def complaint() -> str:
    """The last errors that llama.cpp spoke of in this process: what happened, and what it meant."""
    return "; ".join(_errors) or "it does not say why"


def _quiet(llama_cpp: Any) -> None:
    """llama.cpp's own words go to our log, not to the terminal: warnings and errors as they are,
    the rest for those who debug."""
    global _callback
    if _callback is not None:
        return

    def say(level: int, text: bytes, _data: Any) -> None:
        line = one_line(text.decode("utf-8", errors="replace"), limit=1000)
        if line.strip("."):  # not the dots that say how far it is
            if level == _ERROR:
                _errors.append(line)
            _log.log(_LEVELS.get(level, logging.DEBUG), "%s", line)

    _callback = llama_cpp.llama_log_callback(say)
    llama_cpp.llama_log_set(_callback, ctypes.c_void_p(0))


# Kept alive, for llama.cpp calls it as long as the process lives.
_callback: Any = None
_errors: deque[str] = deque(maxlen=2)
