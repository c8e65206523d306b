"""How long an example may be: decided once the lengths of all are known, before any is cut."""

from collections.abc import Callable

import numpy as np

from trainer_core.config.schema import RunConfig
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.early import LengthFacts, early_choices
from trainer_core.planning.facts import ModelFacts
from trainer_core.planning.fitting import most_tokens
from trainer_core.planning.rules import Reasoned
from trainer_core.tokens.columns import Array

# The most tokens of an example, None where there is no limit; or what says so, given the lengths of
# all usable rows, int64 [rows].
Limit = int | None | Callable[[Array], int]


class PlannedLimit:
    """`model.max_length` as the plan has it; `choices` are what the lengths decided."""

    def __init__(self, config: RunConfig, model: ModelFacts) -> None:
        self._config = config
        self._model = model
        self.choices: dict[str, Reasoned] = {}

    def __call__(self, lengths: Array) -> int:
        """Decide."""
        longest = int(lengths.max()) if len(lengths) else 0
        facts = LengthFacts(
            p99=int(np.percentile(lengths, 99)) if len(lengths) else 0,
            mean=float(lengths.mean()) if len(lengths) else 0.0,
            longest=longest,
        )
        most = most_tokens(self._config, self._model, machine_facts())
        self.choices = early_choices(self._config, self._model, facts, most)
        value: int = self.choices["model.max_length"][0]
        return value
