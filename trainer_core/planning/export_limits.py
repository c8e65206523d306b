"""What an export cannot do on this machine: better known before the night than after."""

import os
from collections.abc import Iterator
from importlib.util import find_spec

from trainer_core.config.export_section import WRITTEN_HERE, ExportSection
from trainer_core.errors import UserError

# Built for one machine alone, its quantised models crash on some processors.
_ADD_LLAMA = (
    "make install-export, or CMAKE_ARGS=-DGGML_NATIVE=OFF pip install 'backprop-tui[export]'."
)


def require_exportable(wish: ExportSection) -> None:
    """Raise UserError for what was asked and cannot be done here, with a way out."""
    for applies, message, hint in export_limits(wish):
        if applies:
            raise UserError(message, hint=hint)


def export_limits(wish: ExportSection) -> Iterator[tuple[bool, str, str]]:
    """What cannot be done: whether it was asked for, a sentence, and a way out."""
    formats = set(wish.formats)
    no_llama = find_spec("llama_cpp") is None
    k_quants = [kind for kind in wish.quantizations if kind not in WRITTEN_HERE]
    yield (
        "gguf" in formats and bool(k_quants) and no_llama,
        f"{', '.join(k_quants)} needs llama-cpp-python, which is not installed",
        f"{_ADD_LLAMA} Without it: q8_0, not checked.",
    )
    yield (
        wish.check and bool({"gguf", "adapter-gguf"} & formats) and no_llama,
        "the check of a GGUF runs it, which needs llama-cpp-python",
        f"{_ADD_LLAMA} Or leave the check out (--no-check, export.check: false).",
    )
    yield (
        "onnx" in formats and find_spec("onnxruntime_genai") is None,
        "onnx needs onnxruntime-genai, which is not installed",
        "make install-export, or pip install 'backprop-tui[onnx]'.",
    )
    yield (
        wish.ollama is not None and not {"gguf", "adapter-gguf"} & formats,
        "Ollama takes a GGUF, and none is asked for",
        "Add gguf to the formats.",
    )
    yield (
        wish.push is not None and not os.environ.get("HF_TOKEN"),
        "HF_TOKEN is not set, and the hub takes nothing without a token",
        "Set it in the environment: it is never kept in a file.",
    )
