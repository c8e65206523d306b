"""When memory runs out in a step: the step is done again with half as many examples at a time.

The gradient of a step is a sum over its examples divided by the trained tokens of all of them, so
taking them in smaller pieces changes nothing but the order of additions. The effective batch and
the order of the data stay.

Source: MosaicML Composer's automatic microbatching, which halves down to one as well.
"""

from collections.abc import Callable
from typing import Any

import torch

from trainer_core.engine.loop_state import RandomState, random_state, set_random_state
from trainer_core.engine.memory import let_go
from trainer_core.errors import BackpropError
from trainer_core.runs.events import Notice
from trainer_core.runs.recorder import Recorder
from trainer_core.tokens.examples import IGNORED

Inputs = dict[str, Any]
# What the CPU's allocator says, CUDA itself and cuBLAS, whose errors have no type of their own.
_WORDS = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class NoMemoryError(BackpropError):
    """There is not enough memory for what the config asks."""

    cause = "out-of-memory"


class MicroBatches:
    """Computes the micro-batches of a step, each in `pieces` pieces: one, until memory runs out."""

    def __init__(self, allowed: bool, recorder: Recorder) -> None:
        self.pieces = 1
        self._allowed = allowed
        self._recorder = recorder
        self._done: list[Inputs] = []
        self._random: RandomState | None = None

    @property
    def count(self) -> int:
        """How many micro-batches of the step were begun."""
        return len(self._done)

    def begin_step(self) -> None:
        """What comes next belongs to another step."""
        self._done.clear()

    def train(self, step: int, model: Any, inputs: Inputs, compute: Callable[[Inputs], Any]) -> Any:
        """The loss of a micro-batch of `step`, its gradients added to the model's. `compute` does
        that for a piece of it, as a share of the step's loss.

        Raises NoMemoryError where memory runs out for a single example.
        """
        if not self._done:
            self._random = random_state()
        self._done.append(inputs)
        todo = [inputs]
        while True:
            loss = self._try(todo, compute)
            if loss is not None:
                return loss
            # The gradients are half summed by now, so the step begins again.
            self._shrink(step, inputs)
            model.zero_grad(set_to_none=True)
            if self._random is not None:
                set_random_state(self._random)
            let_go()
            todo = self._done

    def evaluate(self, step: int, inputs: Inputs, compute: Callable[[Inputs], Any]) -> Any:
        """The mean loss over the trained tokens of a batch, after `step`. Raises
        NoMemoryError."""

        def weighted(piece: Inputs) -> Any:
            return compute(piece) * _trained(piece)

        if self.pieces == 1:  # the same to the last bit as without us
            loss = self._try([inputs], compute)
            if loss is not None:
                return loss
            self._shrink(step, inputs)
            let_go()
        while (loss := self._try([inputs], weighted)) is None:
            self._shrink(step, inputs)
            let_go()
        return loss / max(1, _trained(inputs))

    def _try(self, todo: list[Inputs], compute: Callable[[Inputs], Any]) -> Any:
        """The summed losses of the last of several micro-batches; None if memory ran out. By then
        the error is forgotten, and with it all that its frames held."""
        try:
            for inputs in todo:
                # Copies: TRL adds to what it is given, and takes from it.
                losses = [compute(dict(piece)) for piece in pieces(inputs, self.pieces)]
        except Exception as error:
            if not ran_out(error):
                raise
            return None
        return sum(losses[1:], losses[0])

    def _shrink(self, step: int, inputs: Inputs) -> None:
        before = len(pieces(inputs, self.pieces))
        after = len(pieces(inputs, 2 * self.pieces))
        if not self._allowed or after == before:
            raise NoMemoryError(
                f"memory ran out in step {step:,}"
                + (", with one example at a time" if self._allowed else " (safety.on_oom: stop)"),
                hint="Lower model.max_length, or training.batch_size where it is not 1 already; "
                "the last checkpoint stands.",
            )
        self.pieces *= 2
        self._recorder.record(
            Notice(
                message=f"memory ran out in step {step:,}: it is done again, and from now on each "
                f"micro-batch is taken in {self.pieces} pieces",
                hint="The effective batch and the order of the data stay; it is slower. A lower "
                "training.batch_size or model.max_length spares the next run this.",
            )
        )


def _trained(inputs: Inputs) -> int:
    return int((inputs["labels"][:, 1:] != IGNORED).sum())


def ran_out(error: BaseException) -> bool:
    """Whether memory ran out: of a GPU, or of what the CPU's allocator may take."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def pieces(inputs: Inputs, count: int) -> list[Inputs]:
    """A micro-batch in `count` pieces of whole examples (a power of two), or in as many as there
    are examples."""
    if count <= 1:
        return [inputs]
    both = _halves(inputs)
    if both is None:
        return [inputs]
    return [piece for half in both for piece in pieces(half, count // 2)]


def _halves(inputs: Inputs) -> tuple[Inputs, Inputs] | None:
    rows, length = inputs["input_ids"].shape
    if rows > 1:
        return _rows(inputs, 0, rows // 2), _rows(inputs, rows // 2, rows)
    positions = inputs.get("position_ids")
    if positions is None:
        return None
    # Of a row of several examples: where one begins, next to the middle.
    begins = torch.nonzero(positions[0] == 0).flatten().tolist()[1:]
    if not begins:
        return None
    middle = min(begins, key=lambda begin: abs(begin - length / 2))
    return _columns(inputs, 0, middle), _columns(inputs, middle, length)


def _rows(inputs: Inputs, start: int, stop: int) -> Inputs:
    """Some rows, without the padding that only the others needed."""
    chosen = {name: x[start:stop] if torch.is_tensor(x) else x for name, x in inputs.items()}
    mask = chosen.get("attention_mask")
    return chosen if mask is None else _columns(chosen, 0, int(mask.sum(dim=1).max()))


def _columns(inputs: Inputs, start: int, stop: int) -> Inputs:
    return {name: x[:, start:stop] if torch.is_tensor(x) else x for name, x in inputs.items()}
