"""What onnxruntime says of an ONNX model, through onnxruntime-genai: the model as others run it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer_core.errors import BackpropError
from trainer_core.export.speaker import Logits
from trainer_core.text import one_line
from trainer_core.tokens.tokenizer import load_tokenizer


class OnnxSpeaker:
    """A Speaker on a folder that write_onnx made. Raises BackpropError where it does not load, or
    does not run."""

    runtime = "onnxruntime"

    def __init__(self, folder: Path) -> None:
        import onnxruntime_genai

        onnxruntime_genai.disable_telemetry_events()
        self._folder = folder
        self._genai: Any = onnxruntime_genai
        try:
            self._model: Any = onnxruntime_genai.Model(str(folder))
            self._tokenizer: Any = onnxruntime_genai.Tokenizer(self._model)
        except RuntimeError as error:
            raise BackpropError(f"onnxruntime cannot load {folder}: {error}") from None

    def tokens(self, text: str) -> list[int]:
        """See Speaker."""
        return [int(token) for token in self._tokenizer.encode(text)]

    def logits(self, ids: Sequence[int]) -> Logits:
        """See Speaker."""
        found: Logits = self._begin(ids, len(ids) + 1).get_output("logits")[0].astype(np.float32)
        return found

    def answer(self, ids: Sequence[int], count: int) -> list[int]:
        """See Speaker. Each token is made from the one before it and the cache."""
        generator = self._begin(ids, len(ids) + count)
        found: list[int] = []
        while len(found) < count and not generator.is_done():
            generator.generate_next_token()
            found.append(int(generator.get_next_tokens()[0]))
        return found

    def template(self) -> str | None:
        """See Speaker."""
        return load_tokenizer(self._folder).template

    def close(self) -> None:
        """See Speaker."""
        self._tokenizer = self._model = None

    def _begin(self, ids: Sequence[int], most: int) -> Any:
        """A generator with room for `most` tokens, that has read `ids`."""
        parameters = self._genai.GeneratorParams(self._model)
        parameters.set_search_options(max_length=most, do_sample=False)
        generator = self._genai.Generator(self._model, parameters)
        try:
            generator.append_tokens(np.array(ids, dtype=np.int32))
        except RuntimeError as error:
            reason = one_line(str(error), limit=300)
            raise BackpropError(f"onnxruntime cannot run the model: {reason}") from None
        return generator
