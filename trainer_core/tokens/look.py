"""A look at the data of a config, with its tokenizer but without its weights."""

from pathlib import Path

from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.config.schema import NO_MODEL, RunConfig
from trainer_core.data.problems import only_looked_at, stops
from trainer_core.errors import UserError
from trainer_core.planning.facts import is_local, model_facts
from trainer_core.tokens.encode_chunk import EncoderSetup
from trainer_core.tokens.encode_data import Progress, quiet
from trainer_core.tokens.limit import Limit, PlannedLimit
from trainer_core.tokens.pool import usable_workers
from trainer_core.tokens.prepare import Prepared, prepare
from trainer_core.tokens.row_views import RowsAsRead

_TOKENIZER_FILES = ["tokenizer*.json", "config.json", "generation_config.json", "*.jinja"]


def config_of(what: str, model: str | None, overrides: list[str]) -> LoadedConfig:
    """The config that `what` names: a YAML file, or a data file to be looked at with `model`.

    Raises UserError.
    """
    if model is not None:
        overrides = [f"model.base={model}", *overrides]
    if what.endswith((".yaml", ".yml")):
        return load_config(Path(what), overrides)
    given = any(override.startswith("model.base=") for override in overrides)
    base = [] if given else [f"model.base={NO_MODEL}"]
    return load_config(None, [f"data.train={what}", *base, *overrides])


def look(config: RunConfig, *, own_process: bool = True, progress: Progress = quiet) -> Prepared:
    """Prepare the data exactly as training would, but list what would stop a run. Raises UserError
    where there is nothing to look at."""
    setup, limit = _encoding(config)
    prepared = prepare(
        only_looked_at(config.data),
        setup,
        limit,
        config.training.seed,
        workers=usable_workers(config.data.workers, own_process=own_process),
        progress=progress,
    )
    report = prepared.report
    report.stops = [kind for kind in report.counts if stops(config.data, kind)]
    report.fates |= dict.fromkeys(report.stops, "stops a run")
    return prepared


def look_at_rows(config: RunConfig) -> RowsAsRead:
    """The rows one by one, before all of them are prepared. Raises UserError."""
    setup, _ = _encoding(config)
    wish = config.model.max_length  # where it is open, all lengths must be known first
    return RowsAsRead(only_looked_at(config.data), setup, None if wish == "auto" else wish)


def _encoding(config: RunConfig) -> tuple[EncoderSetup | None, Limit]:
    """How the config's model encodes rows, and how long they may be; nothing without a model."""
    if config.model.base == NO_MODEL:
        return None, None
    base = _tokenizer_folder(config.model.base, config.model.revision)
    setup = EncoderSetup(base, config.model.template, config.model.base, config.data.train_on)
    if (base / "config.json").is_file():
        return setup, PlannedLimit(config, model_facts(base))
    wish = config.model.max_length
    return setup, None if wish == "auto" else wish


def _tokenizer_folder(base: str, revision: str | None) -> Path:
    """The folder with the model's tokenizer: as it is, or fetched from the hub without weights."""
    path = Path(base).expanduser()
    if path.is_dir():
        return path.resolve()
    if is_local(base):
        raise UserError(
            f"the model folder {base} does not exist",
            hint="Name a folder with a tokenizer, or a model on the hub such as owner/name.",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(base, revision=revision, allow_patterns=_TOKENIZER_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"the tokenizer of {base} cannot be had from the hub: {reason}",
            hint="Check its name and the connection, or name a folder.",
        ) from None
