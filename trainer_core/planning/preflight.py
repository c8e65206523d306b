"""What can be known to fail in a second should not fail in a minute."""

from pathlib import Path

from trainer_core.config.data_section import SPLITS, DataSection
from trainer_core.config.load import LoadedConfig
from trainer_core.data.opening import first_conversations, no_rows, open_sources
from trainer_core.data.rows import rows_of
from trainer_core.errors import UserError
from trainer_core.hardware.doctor.folders import require_cache
from trainer_core.hardware.facts import machine_facts
from trainer_core.planning.backend import choose_backend, require_supported
from trainer_core.planning.bases import adapter_facts, follow_adapter, known_facts
from trainer_core.planning.facts import is_local


def preflight(loaded: LoadedConfig) -> LoadedConfig:
    """Check what a run needs, without loading anything: what is installed, the cache, the model's
    folder, the first rows. Returns the config with an adapter's folder resolved to its base.

    Raises UserError before anything is written if the run could not work.
    """
    require_cache()
    loaded = follow_adapter(loaded)
    config = loaded.config
    choose_backend(config.model.backend)
    require_supported(config, gpu=bool(machine_facts().gpus))
    if config.lora.adapter is not None:
        adapter_facts(Path(config.lora.adapter))
    pairs = _all_pairs(config.data)
    if not is_local(config.model.base):
        return loaded  # the job fetches it
    facts = known_facts(config, loaded.facts)
    if facts is not None and not (facts.has_template or config.model.template or pairs):
        raise UserError(
            f"{facts.name} has no chat template, and {config.data.name} holds conversations",
            hint="Name a Jinja template in model.template, or use prompt/completion rows.",
        )
    return loaded


def _all_pairs(data: DataSection) -> bool:
    """Whether the first rows of every source that lies here are pairs or texts, which a model
    without a chat template can learn. Raises UserError for the first that cannot be used."""
    here = data.model_copy(
        update={
            name: [source for source in getattr(data, name) if source.hub is None]
            for name in SPLITS
        }
    )
    opened = open_sources(here)
    talks = [talk for source in opened for talk in first_conversations(here, source)]
    if opened and not talks and all(next(rows_of(one.source, 1), None) is None for one in opened):
        raise no_rows(opened)
    return all(talk.pair or talk.text is not None for talk in talks)
