"""What llama.cpp says of a GGUF: the model as others will run it, asked token by token."""

import ctypes
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainer_core.errors import BackpropError
from trainer_core.export.gguf.library import complaint, require_llama_cpp
from trainer_core.export.speaker import Logits

# Tokens that are computed together; the memory for what is expected after each grows with it.
_TOGETHER = 128
_MOST_THREADS = 16


class LlamaSpeaker:
    """An Answerer that runs in llama.cpp, with an adapter on it if `lora` names one.

    `context` is the most tokens it is asked about at once; of None as many as the model knows, but
    no more than `most`. The cache is kept in 32 bits, so that
    what differs is the model's own. Raises BackpropError where llama.cpp cannot load the file.
    """

    runtime = "llama.cpp"

    def __init__(
        self,
        path: Path,
        lora: Path | None = None,
        context: int | None = 1024,
        threads: int | None = None,
        most: int = 1 << 20,
    ) -> None:
        self._llama = llama = require_llama_cpp()
        self._model = self._context = None
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self._model = llama.llama_model_load_from_file(os.fsencode(path), params)
        if not self._model:
            raise BackpropError(f"llama.cpp cannot load {path}: {complaint()}")
        self.context = context or min(most, int(llama.llama_model_n_ctx_train(self._model)))
        self._context = llama.llama_init_from_model(self._model, self._params(threads))
        if not self._context:
            self.close()
            raise BackpropError(
                f"llama.cpp cannot run {path} on {self.context} tokens: {complaint()}"
            )
        self._vocabulary = llama.llama_model_get_vocab(self._model)
        self._size = int(llama.llama_vocab_n_tokens(self._vocabulary))
        if lora is not None:
            self._add(lora)

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """See Answerer."""
        data = text.encode()
        room = len(data) + 8
        ids = (ctypes.c_int32 * room)()
        count = self._llama.llama_tokenize(
            self._vocabulary, data, len(data), ids, room, special, True
        )
        if count < 0:
            raise BackpropError("llama.cpp made more tokens of a text than it has bytes")
        return list(ids[:count])

    def logits(self, ids: Sequence[int]) -> Logits:
        """See Speaker."""
        self._forget()
        return self._read(ids, 0, every=True)

    def answer(
        self, ids: Sequence[int], count: int, choose: Callable[[Logits], int] | None = None
    ) -> list[int]:
        """See Answerer."""
        choose = choose or (lambda logits: int(logits.argmax()))
        self._forget()
        said: list[int] = []
        new = ids
        while len(said) < count:
            place = len(ids) + len(said) - len(new)
            token = choose(self._read(new, place, every=False)[-1])
            said.append(token)
            if self.ends(token):
                break
            new = [token]
        return said

    def ends(self, token: int) -> bool:
        """See Answerer."""
        return bool(self._llama.llama_vocab_is_eog(self._vocabulary, token))

    def text(self, ids: Sequence[int]) -> str:
        """See Answerer."""
        given = (ctypes.c_int32 * len(ids))(*ids)
        room = 64 + 32 * len(ids)
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = self._llama.llama_detokenize(
                self._vocabulary, given, len(ids), buffer, room, True, False
            )
            if size >= 0:
                return buffer.raw[:size].decode("utf-8", errors="replace")
            room = -size

    def mark(self, which: str) -> str:
        """See Answerer."""
        find = self._llama.llama_vocab_bos if which == "bos" else self._llama.llama_vocab_eos
        token = int(find(self._vocabulary))
        if token < 0:
            return ""
        return str(self._llama.llama_vocab_get_text(self._vocabulary, token).decode())

    def metadata(self, key: str) -> str | None:
        """What the file says of `key`, as text; None where it says nothing."""
        room = 1024
        while True:
            buffer = ctypes.create_string_buffer(room)
            size = self._llama.llama_model_meta_val_str(self._model, key.encode(), buffer, room)
            if size < 0:
                return None
            if size < room:
                return buffer.value.decode("utf-8", errors="replace")
            room = size + 1

    def template(self) -> str | None:
        """See Speaker."""
        found = self._llama.llama_model_chat_template(self._model, None)
        return found.decode() if found else None

    def close(self) -> None:
        """See Speaker."""
        if self._context:
            self._llama.llama_free(self._context)
        if self._model:
            self._llama.llama_model_free(self._model)
        self._model = self._context = None

    def __enter__(self) -> "LlamaSpeaker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _params(self, threads: int | None) -> Any:
        params = self._llama.llama_context_default_params()
        params.n_ctx = params.n_batch = self.context
        params.n_ubatch = min(self.context, _TOGETHER)
        params.n_seq_max = 1
        params.n_threads = threads or min(_MOST_THREADS, os.cpu_count() or 1)
        params.n_threads_batch = params.n_threads
        params.type_k = params.type_v = self._llama.GGML_TYPE_F32
        params.flash_attn_type = self._llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        return params

    def _forget(self) -> None:
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)

    def _read(self, ids: Sequence[int], place: int, *, every: bool) -> Logits:
        """Go on with `ids` at `place`. What is expected after each of them, or after the last:
        [ids or 1, vocabulary]."""
        if not 0 < len(ids) <= self.context - place:
            raise ValueError(
                f"{place + len(ids)} tokens, where at most {self.context} are remembered"
            )
        batch = self._llama.llama_batch_init(len(ids), 0, 1)
        try:
            batch.n_tokens = len(ids)
            for number, token in enumerate(ids):
                batch.token[number] = token
                batch.pos[number] = place + number
                batch.n_seq_id[number] = 1
                batch.seq_id[number][0] = 0
                batch.logits[number] = every or number == len(ids) - 1
            if self._llama.llama_decode(self._context, batch):
                raise BackpropError(f"llama.cpp could not run the model: {complaint()}")
        finally:
            self._llama.llama_batch_free(batch)
        found = self._llama.llama_get_logits(self._context)
        shape = (len(ids) if every else 1, self._size)
        return np.ctypeslib.as_array(found, shape=shape).astype(np.float32, copy=True)

    def _add(self, lora: Path) -> None:
        adapter = self._llama.llama_adapter_lora_init(self._model, os.fsencode(lora))
        if not adapter:
            self.close()
            raise BackpropError(f"llama.cpp cannot use {lora}: {complaint()}")
        adapters = (self._llama.llama_adapter_lora_p_ctypes * 1)(adapter)
        scales = (ctypes.c_float * 1)(1.0)
        if self._llama.llama_set_adapters_lora(self._context, adapters, 1, scales):
            self.close()
            raise BackpropError(f"llama.cpp cannot use {lora}: {complaint()}")
