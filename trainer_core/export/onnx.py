"""A model as ONNX, with a key-value cache, as onnxruntime-genai's model builder makes it.

The builder is a process of its own: it imports much, holds the whole model in memory, and can be
ended at any moment.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainer_core.config.export_section import OnnxPrecision
from trainer_core.errors import BackpropError, StoppedError, UserError
from trainer_core.runs.control import Control
from trainer_core.text import one_line

# How often a wish to stop is looked for.
POLL_SECONDS = 0.2
_MODULES = ("onnx", "onnx_ir", "ml_dtypes", "onnxruntime", "onnxruntime_genai")
# What the builder makes of these was the same as transformers' model, with the kinds of rope that
# are named. It knows more, fails on some (Gemma 3), and gets some wrong (OLMo; yarn).
ARCHITECTURES = {
    "LlamaForCausalLM": {"default", "llama3"},
    "MistralForCausalLM": {"default"},
    "Qwen2ForCausalLM": {"default"},
    "Qwen3ForCausalLM": {"default"},
    "GemmaForCausalLM": {"default"},
    "Gemma2ForCausalLM": {"default"},
    "PhiForCausalLM": {"default"},
    "Phi3ForCausalLM": {"default", "longrope"},
    "GraniteForCausalLM": {"default"},
}
# Architectures whose every layer slides, if any does.
_ALL_SLIDE = {"MistralForCausalLM", "Phi3ForCausalLM"}
# What the builder prints as it reads layers, then as it writes tensors.
_READING = re.compile(r"^Reading layer (\d+)")
_WRITING = re.compile(r"^Saving .*\| *(\d+)/(\d+) ")


# Of its attention with rotated heads.
_HEAD_STEP = 16


def require_onnx(config: dict[str, Any]) -> None:
    """See that a model with this config.json can become ONNX here.

    Raises UserError where the builder is missing, or would not make the same model.
    """
    require_modules(*_MODULES)
    name = (config.get("architectures") or ["a model without a name"])[0]
    if name not in ARCHITECTURES:
        raise UserError(
            f"{one_line(str(name), limit=80)} cannot be written as ONNX",
            hint=f"These can: {', '.join(ARCHITECTURES)}. merged and gguf know others.",
        )
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ARCHITECTURES[name]:
        raise UserError(
            f"{name} with rope of type {one_line(str(kind), limit=40)} cannot be written as ONNX",
            hint="Take merged or gguf.",
        )
    heads = config.get("num_attention_heads") or 1
    head_size = config.get("head_dim") or config.get("hidden_size", 0) // heads
    if head_size % _HEAD_STEP:
        raise UserError(
            f"a model with heads of {head_size} numbers cannot be run by onnxruntime, which wants "
            f"a multiple of {_HEAD_STEP}",
            hint="Take merged or gguf.",
        )
    window, context = config.get("sliding_window"), config.get("max_position_embeddings", 0)
    if name in _ALL_SLIDE and window and window < context:
        raise UserError(
            f"{name} with a sliding window of {window} tokens cannot be written as ONNX: after as "
            "many, onnxruntime fails on a CPU",
            hint="Take merged or gguf.",
        )


def require_modules(*names: str) -> None:
    """Raise UserError where some of these are not installed."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX needs {', '.join(missing)}, which is not installed",
            hint="Add it with `make install-export`, or with pip install 'backprop-tui[onnx]'.",
        )


def write_onnx(
    merged: Path,
    target: Path,
    precision: OnnxPrecision,
    control: Control,
    tell: Callable[[float], None] | None = None,
) -> None:
    """Make `target` from the model folder `merged`: model.onnx with its weights beside it,
    genai_config.json and the tokenizer.

    `tell` hears which share of the work is done, from 0 to 1. The builder's words go to stderr.
    Raises StoppedError if asked to stop and BackpropError if the builder fails; then no `target`
    stays.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".onnx-") as scratch:
        half = Path(scratch) / "onnx"
        _build(merged, half, precision, control, tell)
        for path in half.iterdir():
            _sync(path)
        half.replace(target)


def _build(
    merged: Path,
    target: Path,
    precision: OnnxPrecision,
    control: Control,
    tell: Callable[[float], None] | None,
) -> None:
    command = [sys.executable, "-P", "-m", "trainer_core.export.onnx_process"]
    arguments = ["-i", merged, "-o", target, "-p", precision, "-e", "cpu"]
    process = subprocess.Popen(
        [*command, *map(str, arguments), "-c", str(target.parent / "cache")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(),
    )
    words = _Words(process, _layers(merged))
    try:
        while True:
            try:
                status = process.wait(POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if control.stopping:
                    raise StoppedError("stopped while the ONNX model was made") from None
                if tell is not None:
                    tell(words.share)
    finally:
        process.kill()
        process.wait()
        words.end()
    if status:
        raise _failed(status, words)


class _Words:
    """What the builder prints: passed on line by line, and how far it is made of it."""

    def __init__(self, process: subprocess.Popen[bytes], layers: int) -> None:
        self.share = 0.0
        self.last: deque[str] = deque(maxlen=1)
        self._process, self._layers = process, layers
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self) -> None:
        """Wait for the last word, of a process that has ended."""
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        rest = b""
        while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
            # A bar of progress is drawn over itself.
            *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
            for line in lines:
                self._take(one_line(line.decode(errors="replace"), limit=1000))
        self._take(one_line(rest.decode(errors="replace"), limit=1000))

    def _take(self, line: str) -> None:
        if not line:
            return
        if found := _WRITING.match(line):
            done, total = map(int, found.groups())
            self.share = 0.5 + 0.5 * done / max(total, 1)
            return
        if found := _READING.match(line):
            self.share = 0.5 * (int(found[1]) + 1) / self._layers
        self.last.append(line)
        print(line, file=sys.stderr, flush=True)


def _failed(status: int, words: _Words) -> BackpropError:
    if status == -9:
        return BackpropError(
            "the ONNX builder was killed, most likely for want of memory",
            hint="It holds the whole model in 32 bits: make room, or take gguf.",
        )
    why = words.last[-1] if words.last else f"it ended with status {status}"
    return BackpropError(f"the ONNX builder failed: {why}", hint="The log has all it said.")


def _environment() -> dict[str, str]:
    """No network, no code of a model's author; and the builder, which writes the git commit that it
    stands in into the model, shall not see a repository of the user's around the libraries."""
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "GIT_DIR": os.devnull,
        "PYTHONUNBUFFERED": "1",
    }


def _layers(merged: Path) -> int:
    config = json.loads((merged / "config.json").read_text(encoding="utf-8"))
    return max(1, int(config.get("num_hidden_layers") or 1))


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
