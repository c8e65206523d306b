"""What an export will write and how long that will take, before a byte of it is written.

Sizes follow from the model's sizes and should be right within a few percent. Seconds are rough: the
rates below were measured on two cores of a server, with a disk of its own.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

from trainer_core.config.export_section import WRITTEN_HERE, ExportSection, GgufType
from trainer_core.planning.facts import ModelFacts, model_facts
from trainer_core.planning.gguf_sizes import gguf_bytes

# Room that is asked for, as a multiple of what will be written.
HEADROOM = 1.2

# Bytes of a number of merged weights; 16 bits if none is named.
_WIDTHS = {None: 2, "bfloat16": 2, "float16": 2, "float32": 4}
# ONNX: bytes of a weight in linear layers, and of all other numbers. int4 has a 32-bit scale for
# each 32. The graph itself takes some 100 KB.
_ONNX = {"fp32": (4.0, 4), "fp16": (2.0, 2), "int4": (0.5 + 4 / 32, 4)}
_GRAPH = 100_000
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")

# Bytes a second: weights of the model read and merged; written by our converter; by llama.cpp from
# 16 bits; by the ONNX builder. Of a model of 160 million parameters.
_MERGE = 400e6
_CONVERT: dict[str, float] = {"f32": 1e9, "f16": 1e9, "bf16": 1e9, "q8_0": 130e6}
_CONVERT_OTHERS = 60e6
_K_QUANT = 40e6
_ONNX_BUILD = 60e6
# A process that imports torch or the ONNX builder; a check: how often all weights are read by the
# trained model and by the exported one, at so many bytes a second.
_START, _START_ONNX = 12.0, 10.0
_CHECK_PASSES, _CHECK_RATE = 60, 8e9


@dataclass(frozen=True)
class Material:
    """What an export starts from. `model` is None where nothing is known of it; `adapter` and
    `tokenizer` are bytes of files, `adapter_numbers` how many weights the adapter has: 0 for a
    whole model. `width` is how many bytes the base's numbers have once they are no longer
    quantised."""

    model: ModelFacts | None
    adapter: int = 0
    adapter_numbers: int = 0
    tokenizer: int = 0
    width: int = 2

    @property
    def parameters(self) -> int:
        """Of the whole model; 0 where that is not known."""
        if self.model is None:
            return 0
        return max(self.model.parameters, self.model.shape.parameters if self.model.shape else 0)


@dataclass(frozen=True)
class SizeEstimate:
    """One thing that will be written: `what` is its format, for GGUF with its type (`gguf q4_k_m`).

    `bytes` stay, None where the model's sizes are not known; `temporary` bytes lie beside them
    while it is made; `seconds` of work include the check.
    """

    what: str
    bytes: int | None
    temporary: int
    seconds: float


def material(trained: Path, model: ModelFacts | None, base: Path | None = None) -> Material:
    """What is known of a folder with an adapter, or a whole model, and of its base: `model`, and
    its folder if it is here. Of a whole model the folder itself tells.

    Raises UserError for a folder that is broken.
    """
    home = trained if base is None or (trained / _TOKENIZER[0]).is_file() else base
    files = sum(_size(home / name) for name in _TOKENIZER)
    if not (trained / "adapter_config.json").is_file():
        # A checkpoint holds the optimizer's numbers beside the model's.
        count = sum(_numbers(path) for path in trained.glob("model*.safetensors"))
        whole = replace(model_facts(trained), parameters=count)
        return Material(whole, tokenizer=files, width=_width(trained))
    weights = list(trained.glob("adapter_model*.safetensors"))
    return Material(
        model,
        adapter=sum(_size(path) for path in weights),
        adapter_numbers=sum(_numbers(path) for path in weights),
        tokenizer=files,
        width=_width(base) if base is not None else 2,
    )


def estimate(known: Material, request: ExportSection) -> list[SizeEstimate]:
    """Everything that `request` asks for, in the order in which it is listed there.

    K-quants are made from a GGUF as the base's numbers are, ONNX from merged weights, and a GGUF
    adapter is checked on its base as GGUF. Each of those is written once, for the first that needs
    it, and removed at the end.
    """
    found = []
    for name in request.formats:
        if name == "adapter":
            found.append(_adapter(known))
        elif name == "adapter-gguf":
            found.append(_adapter_gguf(known, request))
        elif name == "merged":
            found.append(_merged(known, request))
        elif name == "onnx":
            found.append(_onnx(known, request))
        else:
            found += _ggufs(known, request)
    return found


def room_needed(estimates: list[SizeEstimate]) -> int:
    """Bytes that should be free before it starts: what is written, and a fifth more."""
    return round(HEADROOM * sum((one.bytes or 0) + one.temporary for one in estimates))


def seconds_needed(estimates: list[SizeEstimate]) -> float:
    """How long all of it takes, the start included; 0 for nothing."""
    return sum(one.seconds for one in estimates) + _START if estimates else 0.0


def _adapter(known: Material) -> SizeEstimate:
    return SizeEstimate("adapter", known.adapter + known.tokenizer, 0, known.adapter / _MERGE)


def _adapter_gguf(known: Material, request: ExportSection) -> SizeEstimate:
    count = 2 * known.adapter_numbers
    base = _as_gguf(known) if request.check else 0
    seconds = count / _MERGE + base / _CONVERT["f16"] + _check_seconds(known, base, request)
    return SizeEstimate("adapter-gguf", count, base, seconds)


def _merged(known: Material, request: ExportSection) -> SizeEstimate:
    count = known.parameters * _WIDTHS[request.dtype]
    seconds = count / _MERGE + _check_seconds(known, count, request)
    return SizeEstimate("merged", count + known.tokenizer if count else None, 0, seconds)


def _onnx(known: Material, request: ExportSection) -> SizeEstimate:
    quantised, plain = _ONNX[request.onnx_precision]
    model = known.model
    shape = model.shape if model is not None else None
    if model is None or shape is None:
        return SizeEstimate("onnx", None, 0, _START_ONNX)
    head = shape.vocab * shape.hidden
    others = shape.small_parameters + (0 if shape.tied else head)
    turns = model.context * shape.head_dim  # sine and cosine for every position
    count = round((shape.linear_parameters + head) * quantised + (others + turns) * plain) + _GRAPH
    merged = known.parameters * known.width
    seconds = _START_ONNX + count / _ONNX_BUILD + merged / _MERGE
    seconds += _check_seconds(known, count, request)
    return SizeEstimate("onnx", count + known.tokenizer, merged + known.tokenizer, seconds)


def _ggufs(known: Material, request: ExportSection) -> list[SizeEstimate]:
    kinds: list[GgufType] = list(dict.fromkeys(request.quantizations))
    quantised = [kind for kind in kinds if kind not in WRITTEN_HERE]
    return [_gguf(known, request, kind, is_first=kind in quantised[:1]) for kind in kinds]


def _gguf(
    known: Material, request: ExportSection, kind: GgufType, *, is_first: bool
) -> SizeEstimate:
    """`is_first` of the K-quants, for which the whole GGUF is written."""
    what, shape = f"gguf {kind}", known.model.shape if known.model is not None else None
    if shape is None:
        return SizeEstimate(what, None, 0, 0.0)
    count, whole = gguf_bytes(shape, kind), _as_gguf(known) if is_first else 0
    if kind in WRITTEN_HERE:
        seconds = known.parameters * known.width / _MERGE
        seconds += count / _CONVERT.get(kind, _CONVERT_OTHERS)
    else:
        seconds = 2 * known.parameters / _K_QUANT + whole / _CONVERT["f16"]
    return SizeEstimate(what, count, whole, seconds + _check_seconds(known, count, request))


def _as_gguf(known: Material) -> int:
    """Bytes of the whole model as GGUF, in the base's own numbers."""
    shape = known.model.shape if known.model is not None else None
    return gguf_bytes(shape, "f32" if known.width == 4 else "f16") if shape is not None else 0


def _check_seconds(known: Material, count: int, request: ExportSection) -> float:
    if not request.check:
        return 0.0
    return _CHECK_PASSES * (2 * known.parameters + count) / _CHECK_RATE


def _width(folder: Path) -> int:
    """Bytes of a number in a model's folder; two where it does not say four."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        dtype = config.get("dtype") or config.get("torch_dtype")
    except (OSError, ValueError, AttributeError, RecursionError):
        return 2
    return 4 if dtype == "float32" else 2


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _numbers(path: Path) -> int:
    """How many numbers a safetensors file holds, from its header; 0 for one that is cut off."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _size(path))))
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        return sum(math.prod(entry["shape"]) for entry in tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0
