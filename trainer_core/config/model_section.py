"""The `model` and `lora` sections of the config: what is trained, and what is trained on top."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator

from trainer_core.config.fields import Auto, Fraction, Positive, Section, Text

# In place of a model's name, for a look at rows that needs none.
NO_MODEL = "(none)"

Quantization = Literal["none", "4bit", "8bit"]
Dtype = Literal["float32", "bfloat16", "float16"]
LoraInit = Literal["default", "gaussian", "pissa", "olora", "loftq"]


class ModelSection(Section):
    """Which base model, and how it is loaded."""

    base: Text = Field(
        description="A folder with a model, or its name on the Hugging Face hub. The folder of an "
        "adapter means its base model, and to go on with the adapter."
    )
    revision: Text | None = Field(
        None, description="Branch, tag or commit of a model on the hub; its main branch if not set."
    )
    backend: Auto | Literal["unsloth", "transformers"] = Field(
        "auto", description="Who trains: Unsloth where it is installed, else transformers + PEFT."
    )
    quantization: Auto | Quantization = Field(
        "auto",
        description="Bits of the base's weights: 4bit and 8bit take less memory and train an "
        "adapter only. auto: none where 16 bits fit, else 4bit; a base that is quantised stays so.",
    )
    dtype: Auto | Dtype = Field(
        "auto", description="Number format in which the weights are loaded and kept."
    )
    max_length: Auto | Annotated[int, Field(ge=8, le=2**24)] = Field(
        "auto",
        description="Longest example in tokens; data.too_long says what becomes of others. auto: "
        "99 of 100 examples fit whole.",
    )
    template: Text | None = Field(
        None,
        description="Chat template: a Jinja file, or a family (alpaca, chatml, deepseek, gemma, "
        "llama-3, mistral, phi-3, phi-4, zephyr); the model's own if not given.",
    )
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = Field(
        None,
        description="How attention is computed, under the transformers backend: PyTorch's own "
        "(sdpa, also if not given), step by step, or the flash-attn package. Unsloth brings its "
        "own.",
    )
    trust_remote_code: StrictBool = Field(
        False,
        description="Run Python code that comes with the model. Only a literal true does; never "
        "set it for a model whose code you have not read.",
    )


class LoraSection(Section):
    """The low-rank adapter that is trained (training.method: lora)."""

    rank: Auto | Annotated[int, Field(ge=1, le=4096)] = Field(
        "auto", description="Rank of the adapter. auto: as the number of trained tokens asks for."
    )
    alpha: Positive = Field(
        32.0, description="Scale of the adapter; applied as alpha / rank (rslora: / sqrt(rank))."
    )
    dropout: Fraction = Field(0.0, description="Dropout on the adapter's input.")
    targets: Literal["all-linear"] | Annotated[list[Text], Field(min_length=1)] = Field(
        "all-linear", description="Which modules get an adapter: all linear layers, or their names."
    )
    rslora: bool = Field(
        False, description="Scale by alpha / sqrt(rank): steadier at ranks from 64 on."
    )
    dora: bool = Field(
        False,
        description="Train direction and size of the weights apart (DoRA): slower, sometimes "
        "better at low ranks. The transformers backend only.",
    )
    init: LoraInit = Field(
        "default",
        description="How the adapter starts: default (no change at first), gaussian, or from the "
        "base's own weights: pissa, olora, and loftq for a base that is quantised to 4 bits.",
    )
    adapter: Text | None = Field(
        None,
        description="Go on with the adapter in this folder, instead of a new one; its rank, alpha "
        "and targets stay.",
    )

    @model_validator(mode="after")
    def _new_or_old(self) -> "LoraSection":
        if self.adapter is not None and self.init != "default":
            raise ValueError("init is for a new adapter, and adapter names one to go on with")
        return self
