"""The model that is asked: one that transformers runs, or an export in its own runtime."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from trainer_core.config.predict_section import ModelRequest
from trainer_core.config.sampling import Sampling
from trainer_core.data.conversations import Turn
from trainer_core.engine.generate import (
    Count,
    Generated,
    Hear,
    context_of,
    generate,
    ids_of,
    say,
)
from trainer_core.engine.scores import score_examples
from trainer_core.engine.subject import Subject, subject_in
from trainer_core.engine.usable import UsableModel, load_usable
from trainer_core.runs.control import Control
from trainer_core.runs.trained import is_exported, run_of
from trainer_core.scoring.slices import SliceScores
from trainer_core.tokens.examples import Encoder, Example


class AskedModel(Protocol):
    """A model that is loaded and answers. `runtime` is who runs it."""

    runtime: str

    @property
    def context(self) -> int | None:
        """The most tokens of a prompt and its answer; None where no limit is known."""
        ...

    def ids(self, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """The tokens after which it answers. Raises UserError."""
        ...

    def answers(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        batch: int,
        control: Control,
        count: Count | None = None,
    ) -> Iterator[tuple[int, Generated]]:
        """The answer to each of `prompts` with its place among them, as they are written, at most
        `batch` at a time. Raises StoppedError."""
        ...

    def say(self, prompt: Sequence[int], sampling: Sampling, hear: Hear) -> None:
        """Answer one prompt, for which there is room in the context. `hear` is called with each
        token as it is chosen, one that ends the answer included."""
        ...

    def ends(self, token: int) -> bool:
        """Whether a token ends an answer."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """The text of an answer, or of its beginning, without what ends it."""
        ...

    def encoder(self, subject: Subject | None) -> Encoder | None:
        """What makes examples of conversations, as in the training of `subject`; None where that
        is not known."""
        ...

    def knows(self, examples: Sequence[Example], batch: int, control: Control) -> SliceScores:
        """How well it knows the trained tokens of examples. Raises StoppedError."""
        ...


class TransformersModel:
    """What was trained, or its base, as transformers runs it."""

    runtime = "transformers"

    def __init__(self, subject: Subject) -> None:
        """Raises UserError for what cannot be loaded."""
        self._usable: UsableModel = load_usable(subject.loading, subject.weights)

    @property
    def context(self) -> int | None:
        """See AskedModel."""
        return context_of(self._usable.model)

    def ids(self, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """See AskedModel."""
        return ids_of(self._usable.encoder, turns, tools)

    def answers(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        batch: int,
        control: Control,
        count: Count | None = None,
    ) -> Iterator[tuple[int, Generated]]:
        """See AskedModel."""
        return generate(
            self._usable.model,
            self._usable.encoder,
            prompts,
            sampling,
            batch_size=batch,
            control=control,
            count=count,
        )

    def encoder(self, subject: Subject | None) -> Encoder | None:
        """See AskedModel."""
        del subject
        return self._usable.encoder

    def knows(self, examples: Sequence[Example], batch: int, control: Control) -> SliceScores:
        """See AskedModel."""
        usable = self._usable
        return score_examples(
            usable.model, examples, usable.encoder.tokenizer.pad_id, batch, control
        )

    def say(self, prompt: Sequence[int], sampling: Sampling, hear: Hear) -> None:
        """See AskedModel."""
        say(self._usable.model, self._usable.encoder, prompt, sampling, hear)

    def ends(self, token: int) -> bool:
        """See AskedModel."""
        return token in self._usable.encoder.tokenizer.stop_ids

    def text(self, ids: Sequence[int]) -> str:
        """See AskedModel."""
        return self._usable.encoder.tokenizer.answer(ids)


def subject_of(request: ModelRequest) -> Subject | None:
    """What is asked, with the config of its training; of a GGUF or ONNX its run's, None where it
    lies in none. Raises UserError."""
    source = Path(request.source)
    if not is_exported(source):
        return subject_in(source, request.checkpoint, base=request.base)
    run = run_of(source)
    return subject_in(run.path, request.checkpoint) if run is not None else None


def load_asked(request: ModelRequest, subject: Subject | None) -> AskedModel:
    """The model that is asked. Raises UserError, and BackpropError for an export that its runtime
    cannot load."""
    if subject is not None and not is_exported(Path(request.source)):
        return TransformersModel(subject)
    from trainer_core.export.exported_model import ExportedModel  # only where it is needed

    return ExportedModel(Path(request.source))


def name_of(request: ModelRequest, subject: Subject | None) -> str:
    """What is asked, for a person."""
    if request.base and subject is not None:
        return f"{subject.config.model.base} (the base)"
    return Path(request.source).name
