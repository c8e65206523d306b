"""The trained model itself, run by transformers and PEFT: what every export is compared with."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from trainer_core.config.model_section import Quantization
from trainer_core.errors import UserError
from trainer_core.export.source import Source
from trainer_core.export.speaker import Logits
from trainer_core.text import one_line
from trainer_core.tokens.tokenizer import load_tokenizer


class TransformersSpeaker:
    """A Speaker on a model folder, with an adapter on it if one is named. Raises UserError for what
    the libraries cannot load."""

    runtime = "transformers"

    def __init__(
        self,
        folder: Path,
        tokenizer: Path,
        adapter: Path | None = None,
        *,
        packed: Quantization = "none",
    ) -> None:
        self._tokenizer = load_tokenizer(tokenizer)
        dtype = _dtype(folder)
        self._model: Any = _loaded(folder, adapter, dtype, packed=packed)
        self.dtype = str(dtype).removeprefix("torch.")

    def tokens(self, text: str) -> list[int]:
        """See Speaker."""
        return self._tokenizer.encode(text, special=False)

    def text(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens left out."""
        return self._tokenizer.decode(list(ids))

    def marks(self, ids: Sequence[int]) -> list[str]:
        """The tokenizer's own marks among `ids`, each once, as they are written."""
        known = self._tokenizer.backend.get_added_tokens_decoder()
        return [known[token].content for token in dict.fromkeys(ids) if token in known]

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer."""
        return self._tokenizer.stop_ids

    def logits(self, ids: Sequence[int]) -> Logits:
        """See Speaker."""
        with torch.no_grad():
            found = self._model(input_ids=self._tensor(ids), use_cache=False).logits[0]
        array: Logits = found.float().cpu().numpy()
        return array

    def answer(self, ids: Sequence[int], count: int) -> list[int]:
        """At most `count` tokens that follow `ids`, greedily."""
        asked = self._tensor(ids)
        with torch.no_grad():
            found = self._model.generate(
                input_ids=asked,
                attention_mask=torch.ones_like(asked),
                max_new_tokens=count,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=list(self.stop_ids) or None,
                pad_token_id=self._tokenizer.pad_id,
                use_cache=True,
            )
        return [int(token) for token in found[0, len(ids) :]]

    def template(self) -> str | None:
        """See Speaker."""
        return self._tokenizer.template

    def close(self) -> None:
        """See Speaker."""
        self._model = None

    def _tensor(self, ids: Sequence[int]) -> torch.Tensor:
        return torch.tensor([list(ids)], device=self._model.device)


def trained_model(source: Source) -> TransformersSpeaker:
    """The model as it was trained: on a packed base if that is what it learnt on."""
    if source.kind == "model":
        return TransformersSpeaker(source.folder, source.tokenizer)
    return adapted(source, source.tokenizer, source.folder)


def adapted(source: Source, tokenizer: Path, adapter: Path) -> TransformersSpeaker:
    """The base that `source` was trained on, with the adapter in a folder on top."""
    base = source.trained_on or source.base
    assert base is not None  # noqa: S101 - an adapter has one
    return TransformersSpeaker(base, tokenizer, adapter, packed=source.packed)


def _loaded(folder: Path, adapter: Path | None, dtype: torch.dtype, *, packed: Quantization) -> Any:
    """The model, ready to be asked. What a config can break in the libraries has no one kind."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from trainer_core.engine.transformers_backend import quantized_loading

    arguments: dict[str, Any] = {"dtype": dtype}
    if packed != "none":
        arguments["quantization_config"] = quantized_loading(packed, dtype)
    if torch.cuda.is_available():
        arguments["device_map"] = {"": 0}
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(folder), use_safetensors=True, trust_remote_code=False, **arguments
        )
        if adapter is not None:
            model = PeftModel.from_pretrained(model, str(adapter))
        return model.eval()
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        traceback.print_exc()
        named = adapter or folder
        raise UserError(
            f"transformers cannot load {named}: {one_line(str(error), limit=300)}",
            hint="--no-check exports it without loading it.",
        ) from None


def _dtype(folder: Path) -> torch.dtype:
    """Float32 where that fits into memory, since what is compared shall not be blurred; else as the
    weights are stored."""
    stored = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    room = psutil.virtual_memory().available
    if torch.cuda.is_available():
        room = torch.cuda.mem_get_info()[0]
    return torch.float32 if stored * 2.5 < room else torch.bfloat16
