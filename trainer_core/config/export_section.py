"""What is made of a trained model: the `export` section of a run's config, and the request of an
export job, which is the same and says of what."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from trainer_core.config.fields import Section, Text
from trainer_core.config.model_section import Dtype
from trainer_core.config.request import Request, Source
from trainer_core.errors import UserError

Format = Literal["adapter", "adapter-gguf", "merged", "gguf", "onnx"]
FORMATS: tuple[Format, ...] = ("adapter", "adapter-gguf", "merged", "gguf", "onnx")
GgufType = Literal[
    "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "tq1_0", "tq2_0", "mxfp4",
    "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k",
]  # fmt: skip
# Written by ourselves; the K-quants need llama.cpp.
WRITTEN_HERE: frozenset[str] = frozenset(
    {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "tq1_0", "tq2_0", "mxfp4"}
)
_OTHER_NAMES = {"lora": "adapter", "ollama-adapter": "adapter-gguf", "lora-gguf": "adapter-gguf"}
OnnxPrecision = Literal["fp32", "fp16", "int4"]
# A name in Ollama: [namespace/]model[:tag].
_OLLAMA_NAME = re.compile(r"(?:[\w][\w.-]{0,79}/)?[\w][\w.-]{0,79}(?::[\w][\w.-]{0,79})?", re.A)


class ExportSection(Section):
    """What is made, and checked, of a run that has finished."""

    formats: list[Format] = Field(
        [],
        description="What to write to exports/1 when the run has finished: adapter (a PEFT "
        "folder), adapter-gguf, merged (whole weights), gguf, onnx.",
    )
    quantizations: Annotated[list[GgufType], Field(min_length=1)] = Field(
        ["q8_0"],
        description="Types of the GGUF files, one file each. The K-quants (q4_k_m and so on) need "
        "llama-cpp-python.",
    )
    dtype: Dtype | None = Field(
        None,
        description="Number format of merged weights. If not given 16 bits, as the base has them; "
        "bfloat16 for a base of 32.",
    )
    onnx_precision: OnnxPrecision = Field("fp32", description="Number format of the ONNX model.")
    base: Text | None = Field(
        None,
        description="The 16-bit base to merge into, where the run trained on a quantised one and "
        "it is not found by its name.",
    )
    dequantize: bool = Field(
        False,
        description="Merge into the quantised base itself, turned back into 16 bits, where there "
        "is no other. What quantization rounded away stays lost.",
    )
    check: bool = Field(
        True,
        description="Load what was written, and compare its tokens, probabilities and answers with "
        "the trained model's; what differs is an error.",
    )
    ollama: Text | None = Field(
        None, description="Register the GGUF with the running Ollama under this name."
    )
    push: Text | None = Field(
        None,
        description="Upload what was written to this repository (owner/name) of the hub; the token "
        "comes from HF_TOKEN.",
    )

    @field_validator("formats", mode="before")
    @classmethod
    def _as_others_say(cls, names: object) -> object:
        """Names from other tools, and one name instead of a list."""
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list):
            return listed
        return [_OTHER_NAMES.get(name, name) if isinstance(name, str) else name for name in listed]

    @field_validator("quantizations", mode="before")
    @classmethod
    def _in_small_letters(cls, kinds: object) -> object:
        listed = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(listed, list):
            return listed
        return [kind.lower() if isinstance(kind, str) else kind for kind in listed]

    @field_validator("ollama")
    @classmethod
    def _ollama_name(cls, name: str | None) -> str | None:
        if name is not None and not _OLLAMA_NAME.fullmatch(name):
            raise ValueError("a name in Ollama has letters, digits, . _ - and at most one :tag")
        return name

    @field_validator("push")
    @classmethod
    def _repository(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.A):
            raise ValueError("a repository of the hub is called owner/name")
        return name


Checkpoint = Annotated[str, Field(pattern=r"^(best|last|step-\d+|run-\d+(-fine-tuned)?)$")]


class ExportRequest(ExportSection, Request):
    """One export job. `source` is a run folder, a checkpoint, an adapter's or a model's folder."""

    source: Source
    # Of a run: best, last, or step-N, of a multi-run also run-NN and run-NN-fine-tuned; the best if
    # it was validated, else the last.
    checkpoint: Checkpoint | None = None
    # What the files are called; the run's name if not given.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    # Whether what has the same name, here or in Ollama, is replaced.
    force: bool = False
    # Ollama's adapters stand on a model that Ollama has.
    ollama_base: Text | None = None
    # Where Ollama listens; OLLAMA_HOST, else this machine's own. Others only if allowed.
    ollama_host: Text | None = None
    ollama_remote: bool = False

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """A request from names and values; None leaves one to its default. Raises UserError naming
        what is wrong."""
        if not given.get("formats"):
            raise UserError("no format was named", hint=f"There are {', '.join(FORMATS)}.")
        return super().of(given)
