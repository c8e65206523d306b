"""The plan of a config before it runs: what its values would be, and what it takes."""

from trainer_core.config.load import LoadedConfig
from trainer_core.errors import UserError
from trainer_core.hardware.facts import MachineFacts, machine_facts
from trainer_core.planning.bases import follow_adapter, known_facts
from trainer_core.planning.draft import Draft, draft
from trainer_core.planning.early import DataStats
from trainer_core.planning.estimate_data import guess_data
from trainer_core.tokens.tokenizer import named_template


def plan_ahead(
    loaded: LoadedConfig,
    machine: MachineFacts | None = None,
    *,
    exact: bool = False,
    own_process: bool = False,
) -> Draft:
    """What the run of a config would be here, or on another `machine`. The data is guessed from its
    first rows; `exact` tokenises all of it, as the run will, in several processes where nobody else
    lives in this one (`own_process`). Of a model on the hub, config.json is fetched.

    Raises UserError where there is no plan.
    """
    loaded = follow_adapter(loaded)
    if loaded.config.model.template is not None:
        named_template(loaded.config.model.template)
    facts = known_facts(loaded.config, loaded.facts, network=True)
    stats = _counted(loaded, own_process) if exact else guess_data(loaded.config.data)
    found = draft(loaded, machine or machine_facts(), stats, model=facts)
    if found.run is None:
        raise UserError(found.problem)
    return found


def _counted(loaded: LoadedConfig, own_process: bool) -> DataStats:
    from trainer_core.tokens.look import look
    from trainer_core.tokens.statistics import data_stats

    config = loaded.config
    return data_stats(look(config, own_process=own_process), config)
