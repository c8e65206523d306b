"""What an export can write: how each thing is made, who runs it for the check, how it is used."""

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.config.export_section import WRITTEN_HERE, ExportRequest, GgufType
from trainer_core.errors import UserError
from trainer_core.export.adapter import read_adapter
from trainer_core.export.check import Limits
from trainer_core.export.gguf.architectures import architecture_of
from trainer_core.export.gguf.llama import LlamaSpeaker
from trainer_core.export.gguf.lora import require_plain_lora, write_lora
from trainer_core.export.gguf.quantize import quantize, require_llama_cpp
from trainer_core.export.gguf.write import write_gguf
from trainer_core.export.limits import limits_of
from trainer_core.export.merged import copy_tokenizer, write_merged
from trainer_core.export.onnx import require_onnx, write_onnx
from trainer_core.export.onnx_speaker import OnnxSpeaker
from trainer_core.export.prompts import MOST_TOKENS
from trainer_core.export.source import Source
from trainer_core.export.speaker import Speaker
from trainer_core.export.transformers_speaker import TransformersSpeaker, adapted
from trainer_core.export.workshop import Workshop

Notes = list[str]


@dataclass(frozen=True)
class Artefact:
    """One thing to write, as `path` in the export's folder. `make` writes it to the path that it is
    given and returns what the user should know; `speak` opens it for the check."""

    format: str
    path: str
    make: Callable[[Workshop, Path], Notes]
    speak: Callable[[Workshop, Path], Speaker]
    limits: Limits
    commands: Callable[[Path], list[str]]


@dataclass(frozen=True)
class _Wish:
    """What is asked, of what; `config` is the base's config.json."""

    request: ExportRequest
    source: Source
    config: dict[str, Any]


def plan_artefacts(request: ExportRequest, source: Source) -> list[Artefact]:
    """What `request` asks for, in the order in which it is made.

    Raises UserError for what cannot be made of this model or on this machine, before anything is
    written.
    """
    formats = list(dict.fromkeys(request.formats))
    if not formats:
        raise UserError(
            "no format was named", hint="--format adapter, adapter-gguf, merged, gguf or onnx."
        )
    if source.kind == "model" and {"adapter", "adapter-gguf"} & set(formats):
        raise UserError(
            f"{source.folder} holds a whole model, of which there is no adapter",
            hint="Take merged, gguf or onnx.",
        )
    wish = _Wish(request, source, source.config_json())
    made: list[Artefact] = []
    for name in formats:
        made += _PLANS[name](wish)
    return made


def _adapter(_: _Wish) -> list[Artefact]:
    def make(shop: Workshop, target: Path) -> Notes:
        shop.announce("copying", "adapter")
        _copy_adapter(shop.source, target)
        return []

    def speak(shop: Workshop, path: Path) -> Speaker:
        return adapted(shop.source, path, path)

    return [Artefact("adapter", "adapter", make, speak, limits_of("f32", other_base=False), _none)]


def _adapter_gguf(wish: _Wish) -> list[Artefact]:
    architecture_of(wish.config)
    require_plain_lora(read_adapter(wish.source.folder))
    if wish.request.check:
        require_llama_cpp()

    def make(shop: Workshop, target: Path) -> Notes:
        shop.announce("converting", target.name)
        return write_lora(read_adapter(shop.source.folder), shop.model.config, target)

    def speak(shop: Workshop, path: Path) -> Speaker:
        base = shop.base_gguf()
        shop.announce("checking", path.name)
        return LlamaSpeaker(base, lora=path, context=MOST_TOKENS)

    limits = limits_of("bf16", other_base=_other_base(wish.source))
    path = f"{wish.source.name}-lora-F16.gguf"
    return [Artefact("adapter-gguf", path, make, speak, limits, _llama_lora)]


def _merged(wish: _Wish) -> list[Artefact]:
    def dtype_of(shop: Workshop) -> str:
        if wish.request.dtype is not None:
            return wish.request.dtype
        return "bfloat16" if shop.model.dtype == "float32" else shop.model.dtype

    def make(shop: Workshop, target: Path) -> Notes:
        shop.announce("merging", dtype_of(shop))
        base = shop.source.base or shop.source.folder
        write_merged(shop.model, base, target, dtype_of(shop), shop.tell)
        return []

    def speak(_: Workshop, path: Path) -> Speaker:
        return TransformersSpeaker(path, path)

    kept = wish.request.dtype or "bfloat16"
    limits = limits_of(kept, other_base=_other_base(wish.source))
    return [Artefact("merged", "merged", make, speak, limits, _vllm)]


def _gguf(wish: _Wish) -> list[Artefact]:
    architecture_of(wish.config)
    kinds = list(dict.fromkeys(wish.request.quantizations))
    if wish.request.check or not WRITTEN_HERE.issuperset(kinds):
        require_llama_cpp()

    def artefact(kind: GgufType) -> Artefact:
        def make(shop: Workshop, target: Path) -> Notes:
            if kind in WRITTEN_HERE:
                shop.announce("converting", target.name)
                return write_gguf(shop.model, target, kind, shop.tell)
            whole = shop.whole_gguf()
            shop.announce("quantizing", target.name)
            return quantize(whole, target, kind, tell=shop.tell_parts)

        def speak(_: Workshop, path: Path) -> Speaker:
            return LlamaSpeaker(path, context=MOST_TOKENS)

        path = f"{wish.source.name}-{kind.upper()}.gguf"
        limits = limits_of(kind, other_base=_other_base(wish.source))
        return Artefact(f"gguf {kind}", path, make, speak, limits, _llama)

    return [artefact(kind) for kind in kinds]


def _onnx(wish: _Wish) -> list[Artefact]:
    require_onnx(wish.config)

    def make(shop: Workshop, target: Path) -> Notes:
        merged = shop.merged()
        shop.announce("converting", f"ONNX, {wish.request.onnx_precision}")
        size = shop.model.size
        write_onnx(
            merged,
            target,
            wish.request.onnx_precision,
            shop.control,
            lambda share: shop.tell(round(share * size)),
        )
        return []

    def speak(_: Workshop, path: Path) -> Speaker:
        return OnnxSpeaker(path)

    limits = limits_of(wish.request.onnx_precision, other_base=_other_base(wish.source))
    return [Artefact(f"onnx {wish.request.onnx_precision}", "onnx", make, speak, limits, _none)]


_PLANS: dict[str, Callable[[_Wish], list[Artefact]]] = {
    "adapter": _adapter,
    "adapter-gguf": _adapter_gguf,
    "merged": _merged,
    "gguf": _gguf,
    "onnx": _onnx,
}


def _copy_adapter(source: Source, target: Path) -> None:
    """A PEFT folder that names its base as others know it, with its tokenizer and template."""
    target.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        shutil.copyfile(source.folder / name, target / name)
    copy_tokenizer(source.tokenizer, source.template(), target)
    path = target / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = source.base_name
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _other_base(source: Source) -> bool:
    """Whether the adapter learnt on a quantised base, and is merged into a 16-bit one."""
    elsewhere = source.packed != "none" or source.trained_on != source.base
    return source.kind == "adapter" and elsewhere


def _none(_: Path) -> list[str]:
    return []


def _llama(path: Path) -> list[str]:
    return [f"llama-cli -m {shlex.quote(str(path))} -cnv"]


def _llama_lora(path: Path) -> list[str]:
    return [f"llama-cli -m BASE.gguf --lora {shlex.quote(str(path))} -cnv"]


def _vllm(path: Path) -> list[str]:
    return [f"vllm serve {shlex.quote(str(path))}"]
