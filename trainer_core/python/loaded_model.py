"""The one model that a Trainer keeps between two calls, and what it is asked."""

import math
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from trainer_core.config.data_section import SPLITS, SplitName
from trainer_core.config.schema import RunConfig
from trainer_core.engine.subject import Subject
from trainer_core.errors import UserError
from trainer_core.python.quiet import no_other_bars
from trainer_core.python.results import EvalResult, Prediction
from trainer_core.text import one_of

if TYPE_CHECKING:
    from trainer_core.engine.usable import UsableModel


class LoadedModel:
    """Loads what is asked for, and keeps it until something else is asked for, or `let_go`."""

    def __init__(self) -> None:
        self._key: tuple[str, str] | None = None
        self._model: UsableModel | None = None

    def predict(
        self, subject: Subject, prompt: Any, wishes: Mapping[str, Any], *, base: bool
    ) -> Prediction | list[Prediction]:
        """The answer to a prompt, or to each of several. `wishes` are of engine's Sampling. Raises
        UserError."""
        prompts, several = _prompts(prompt)
        usable = self._of(subject, base=base)
        from trainer_core.config.sampling import Sampling
        from trainer_core.engine.generate import generate, prompt_ids

        sampling = Sampling(**wishes)
        ids = [prompt_ids(usable.encoder, one) for one in prompts]
        found: dict[int, Prediction] = {}
        with usable.without_adapter() if base else nullcontext():
            for place, made in generate(usable.model, usable.encoder, ids, sampling):
                found[place] = Prediction(
                    prompts[place], made.text, made.tokens, made.seconds, made.ended
                )
        answers = [found[place] for place in range(len(prompts))]
        return answers if several else answers[0]

    def score(self, subject: Subject, rows: Any, split: SplitName, *, base: bool) -> EvalResult:
        """How well it knows a split of its data, or all of `rows` (a source, or a list of them).
        Raises UserError."""
        if split not in SPLITS:
            raise UserError(f"no split is called {split!r}", hint=f"There are {one_of([*SPLITS])}.")
        usable = self._of(subject, base=base)
        from trainer_core.engine.evaluate import all_of, evaluate, examples_to_score

        config = subject.config
        data, split = (config.data, split) if rows is None else (all_of(rows, config), "train")
        examples = examples_to_score(config, usable, data, split, own_process=False)
        with usable.without_adapter() if base else nullcontext():
            scores = evaluate(usable, examples, subject.loading)
        score = scores.score
        return EvalResult(
            loss=score.loss,
            perplexity=math.exp(min(score.loss, 700.0)),
            accuracy=score.accuracy,
            examples=len(examples),
            tokens=int(scores.tokens.sum()),
        )

    def let_go(self) -> None:
        """Give its memory back."""
        if self._model is None:
            return
        from trainer_core.engine.memory import let_go

        self._model, self._key = None, None
        let_go()

    def _of(self, subject: Subject, *, base: bool) -> "UsableModel":
        """The model of `subject`. The base below an adapter is there with it."""
        if base and subject.whole:
            subject = subject.base()
        key = (subject.loading.model.model_dump_json(), str(subject.weights))
        if self._model is None or key != self._key:
            self.let_go()
            _import_first(subject.loading)
            from trainer_core.engine.usable import load_usable

            with no_other_bars():
                self._model, self._key = load_usable(subject.loading, subject.weights), key
        return self._model


def _import_first(config: RunConfig) -> None:
    """What must come before transformers, or a training after this one could not have it."""
    from trainer_core.engine.base_model import quieten

    quieten(offline=False)
    if config.model.backend == "unsloth" and "transformers" not in sys.modules:
        from trainer_core.engine import unsloth_backend  # noqa: F401


def _prompts(given: Any) -> tuple[list[Any], bool]:
    """The prompts in a list, and whether they came as several. Raises UserError."""
    if isinstance(given, str):
        return [given], False
    prompts = list(given)
    if prompts and all(isinstance(one, Mapping) for one in prompts):
        return [prompts], False
    for one in prompts:
        talk = isinstance(one, list | tuple) and one and all(isinstance(x, Mapping) for x in one)
        if not isinstance(one, str) and not talk:
            raise UserError(
                f"a prompt is {type(one).__name__}",
                hint='A prompt is a text, or a list of {"role": …, "content": …}.',
            )
    return prompts, True
