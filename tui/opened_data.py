"""What a person names to look at: a run's config, or a data file without one."""

from dataclasses import dataclass
from pathlib import Path

from trainer_core.config.data_section import DataSource, names_hub
from trainer_core.config.load import dump_config, load_config, validate
from trainer_core.config.schema import NO_MODEL
from trainer_core.text import one_line


@dataclass(frozen=True)
class OpenedData:
    """A config (YAML) for the preview, and the source whose rows can be shown before it is done."""

    name: str
    config: str
    source: DataSource
    has_model: bool


def opened_data(what: str) -> OpenedData:
    """Read the config that `what` names, or make one for a file. Raises UserError."""
    path = Path(what).expanduser()
    if path.suffix in {".yaml", ".yml"}:
        loaded = load_config(path)
    else:
        place = what if names_hub(what) and not _exists(path) else str(path.absolute())
        loaded = validate({"model": {"base": NO_MODEL}, "data": {"train": place}})
    config = loaded.config
    first, *more = config.data.train
    name = one_line(first.name.rstrip("/").rsplit("/", 1)[-1], limit=60)
    return OpenedData(
        name=f"{name} and {len(more)} more" if more else name,
        config=dump_config(loaded),
        source=first,
        has_model=config.model.base != NO_MODEL,
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
