"""Weights that bitsandbytes packed into 4 bits, turned back; what was rounded away is lost."""

import threading
from pathlib import Path
from typing import Any

import torch

from trainer_core.errors import UserError
from trainer_core.export.weights import TensorFacts, Weights
from trainer_core.reading import json_object

_STATE = ".quant_state.bitsandbytes__"
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class DequantizedWeights:
    """`stored` as plain tensors. One packed tensor is in memory at a time.

    Raises UserError for weights of another kind of quantization.
    """

    def __init__(self, stored: Weights, folder: Path) -> None:
        self._stored = stored
        self._states = {
            name.partition(_STATE)[0]: name for name in stored.tensors if _STATE in name
        }
        if not self._states:
            raise UserError(
                f"the weights in {folder} are quantised in a way that cannot be turned back here",
                hint="bitsandbytes' 4 bits can. Name the 16-bit model with --base.",
            )
        parts = tuple(f"{name}." for name in self._states)
        self._lock = threading.Lock()
        self._open: tuple[str, torch.Tensor] | None = None
        self.tensors = {
            name: self._facts(name) if name in self._states else facts
            for name, facts in stored.tensors.items()
            if not name.startswith(parts)
        }

    def rows(self, name: str, start: int, stop: int) -> torch.Tensor:
        """See Weights."""
        if name not in self._states:
            return self._stored.rows(name, start, stop)
        with self._lock:  # a converter reads in several threads, and the memory is for one tensor
            if self._open is None or self._open[0] != name:
                self._open = None
                self._open = (name, self._unpack(name))
            return self._open[1][start:stop].clone()

    def _facts(self, name: str) -> TensorFacts:
        state = self._state(name)
        try:
            return TensorFacts(tuple(int(size) for size in state["shape"]), _DTYPES[state["dtype"]])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"how {name} was quantised is not understood: {error}") from None

    def _state(self, name: str) -> dict[str, Any]:
        raw = self._whole(self._states[name])
        return json_object(bytes(raw.tolist()), f"how {name} was quantised")

    def _unpack(self, name: str) -> torch.Tensor:
        try:
            from bitsandbytes.functional import QuantState, dequantize_4bit
        except ImportError:
            raise UserError(
                "turning 4-bit weights back needs bitsandbytes", hint="pip install bitsandbytes"
            ) from None
        parts = {
            key: self._whole(key) for key in self._stored.tensors if key.startswith(f"{name}.")
        }
        state = QuantState.from_dict(parts, device=torch.device("cpu"))
        plain: torch.Tensor = dequantize_4bit(self._whole(name), state)
        return plain

    def _whole(self, name: str) -> torch.Tensor:
        return self._stored.rows(name, 0, self._stored.tensors[name].rows)
