"""llama.cpp as a library: whether it is there, and where its words go."""

import ctypes
import logging
from typing import Any

from trainer_core.errors import UserError
from trainer_core.text import one_line

_log = logging.getLogger(__name__)
# ggml's levels; what it says of every tensor is for those who debug.
_LEVELS = {3: logging.WARNING, 4: logging.ERROR}


def require_llama_cpp() -> Any:
    """The module llama_cpp. Raises UserError, saying how to add it, where it is missing."""
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"llama.cpp is needed for this, and is not there ({error})",
            hint="Add it with `make install-export`, or with CMAKE_ARGS="
            '"-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON '
            '-DGGML_BMI2=ON" pip install llama-cpp-python',
        ) from None
    _quiet(llama_cpp)
    return llama_cpp


def _quiet(llama_cpp: Any) -> None:
    """llama.cpp's own words go to our log, not to the terminal: warnings and errors as they are,
    the rest for those who debug."""
    global _callback
    if _callback is not None:
        return

    @llama_cpp.llama_log_callback
    def say(level: int, text: bytes, _data: Any) -> None:
        line = text.decode("utf-8", errors="replace").rstrip()
        if line.strip("."):  # not the dots that say how far it is
            _log.log(_LEVELS.get(level, logging.DEBUG), "%s", one_line(line, limit=1000))

    _callback = say
    llama_cpp.llama_log_set(say, ctypes.c_void_p(0))


# Kept alive, for llama.cpp calls it as long as the process lives.
_callback: Any = None
