"""What onnxruntime says of an ONNX model, through onnxruntime-genai: the model as others run it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer_core.errors import BackpropError
from trainer_core.export.onnx import require_modules
from trainer_core.export.speaker import Logits
from trainer_core.reading import read_object
from trainer_core.runs.trained import ONNX_CONFIG
from trainer_core.text import one_line
from trainer_core.tokens.tokenizer import load_tokenizer


class OnnxSpeaker:
    """An Answerer on a folder that write_onnx made, of at most `most` tokens at once. Raises
    UserError where onnxruntime-genai is missing, BackpropError where it cannot load or run it."""

    runtime = "onnxruntime"

    def __init__(self, folder: Path, most: int = 1 << 20) -> None:
        require_modules("onnxruntime_genai")
        import onnxruntime_genai

        onnxruntime_genai.disable_telemetry_events()
        self._genai: Any = onnxruntime_genai
        try:
            self._model: Any = onnxruntime_genai.Model(str(folder))
            self._tokenizer: Any = onnxruntime_genai.Tokenizer(self._model)
        except RuntimeError as error:
            reason = one_line(str(error), limit=300)
            raise BackpropError(f"onnxruntime cannot load {folder}: {reason}") from None
        config = read_object(folder / ONNX_CONFIG)["model"]
        self.context = min(most, int(config["context_length"]))
        ends = config.get("eos_token_id", [])
        self._ends = set(ends if isinstance(ends, list) else [ends])
        # The runtime's own does not say what is put around a text, nor which marks there are.
        self._file = load_tokenizer(folder)

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """See Answerer."""
        if special:
            return self._file.encode(text, special=True)
        return [int(token) for token in self._tokenizer.encode(text)]

    def logits(self, ids: Sequence[int]) -> Logits:
        """See Speaker."""
        found: Logits = self._begin(ids, len(ids) + 1).get_output("logits")[0].astype(np.float32)
        return found

    def answer(
        self, ids: Sequence[int], count: int, choose: Callable[[Logits], int] | None = None
    ) -> list[int]:
        """See Answerer. Each token is made from the one before it and the cache."""
        choose = choose or (lambda logits: int(logits.argmax()))
        generator = self._begin(ids, len(ids) + count)
        said: list[int] = []
        while len(said) < count:
            if said:
                self._read(generator, said[-1:])
            said.append(choose(generator.get_logits()[0, -1].astype(np.float32)))
            if self.ends(said[-1]):
                break
        return said

    def ends(self, token: int) -> bool:
        """See Answerer."""
        return token in self._ends

    def text(self, ids: Sequence[int]) -> str:
        """See Answerer."""
        return self._file.decode(list(ids))

    def mark(self, which: str) -> str:
        """See Answerer."""
        return self._file.bos if which == "bos" else self._file.eos

    def template(self) -> str | None:
        """See Speaker."""
        return self._file.template

    def close(self) -> None:
        """See Speaker."""
        self._tokenizer = self._model = None

    def _begin(self, ids: Sequence[int], most: int) -> Any:
        """A generator with room for `most` tokens, that has read `ids`."""
        parameters = self._genai.GeneratorParams(self._model)
        parameters.set_search_options(max_length=most, do_sample=False)
        generator = self._genai.Generator(self._model, parameters)
        self._read(generator, ids)
        return generator

    def _read(self, generator: Any, ids: Sequence[int]) -> None:
        try:
            generator.append_tokens(np.array(ids, dtype=np.int32))
        except RuntimeError as error:
            reason = one_line(str(error), limit=300)
            raise BackpropError(f"onnxruntime cannot run the model: {reason}") from None
