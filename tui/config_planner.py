"""The plan of the config on the screen, made anew at every change from facts that are kept."""

from trainer_core.config.data_section import DataSection
from trainer_core.config.load import LoadedConfig
from trainer_core.errors import BackpropError, UserError
from trainer_core.hardware.facts import MachineFacts, machine_facts
from trainer_core.planning.bases import follow_adapter, known_facts
from trainer_core.planning.corrections import Corrections, load_corrections
from trainer_core.planning.draft import Draft, draft
from trainer_core.planning.early import DataStats
from trainer_core.planning.estimate_data import guess_data
from trainer_core.planning.facts import ModelFacts

_GUESSED = "from a look at the first rows"
_UNKNOWN = "as if for a thousand middling rows: the data is not known"


class Planner:
    """Keeps what takes time: the machine, the models, a look at the data. Never asks the network.

    `prepare` and `look` are for a thread; the rest is quick. `data_words` say what the last plan
    knew of the data, `data_problem` why that is nothing.
    """

    def __init__(self) -> None:
        self.data_problem = ""
        self.data_words = ""
        self._machine: MachineFacts | None = None
        self._corrections: Corrections | None = None
        self._models: dict[str, ModelFacts | None] = {}
        self._stats: dict[str, DataStats | None] = {}
        self._problems: dict[str, str] = {}

    @property
    def is_ready(self) -> bool:
        """Whether the machine is known, without which there is no plan."""
        return self._machine is not None

    def prepare(self) -> None:
        """Learn what the machine has."""
        self._corrections = load_corrections()
        self._machine = machine_facts()

    def forget(self) -> None:
        """Look at models and data again: files may have changed."""
        self._models.clear()
        self._stats.clear()

    def draft(self, loaded: LoadedConfig) -> Draft | None:
        """The plan; None before the machine is known."""
        if self._machine is None:
            return None
        key = _data_key(loaded.config.data)
        self.data_problem = self._problems.get(key, "")
        self.data_words = _GUESSED if self._stats.get(key) is not None else _UNKNOWN
        return draft(
            loaded,
            self._machine,
            self._stats.get(key),
            model=self._model(loaded),
            corrections=self._corrections,
        )

    def wants_look(self, loaded: LoadedConfig) -> bool:
        """Whether nobody has looked at this data yet."""
        return _data_key(loaded.config.data) not in self._stats

    def look(self, loaded: LoadedConfig) -> None:
        """Look at the first rows of the data."""
        data = loaded.config.data
        key, stats, problem = _data_key(data), None, ""
        try:
            stats = guess_data(data)
        except (BackpropError, OSError) as error:
            problem = str(error)
        self._problems[key] = problem
        self._stats[key] = stats

    def _model(self, loaded: LoadedConfig) -> ModelFacts | None:
        model = loaded.config.model
        key = f"{model.base}\n{model.revision}\n{sorted(loaded.facts.items())}"
        if key not in self._models:
            try:
                loaded = follow_adapter(loaded)
                self._models[key] = known_facts(loaded.config, loaded.facts)
            except UserError:
                return None  # the draft says it, and asks again
        return self._models[key]


def _data_key(data: DataSection) -> str:
    sources = data.model_dump(include={"train", "validation", "test", "limit"})
    return repr(sources)
