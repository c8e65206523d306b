"""resolved.yaml: the plan as it was carried out. A resume reads it and never plans again."""

from pathlib import Path

from pydantic import ValidationError

from trainer_core.config.yaml_file import dump_yaml, read_yaml
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.planning.plan import FORMAT, ResolvedRun

_HEAD = "# What ran, and why each value is what it is. Written once, before the model was loaded.\n"


def write_resolved(path: Path, resolved: ResolvedRun) -> None:
    """Write a run's resolved.yaml."""
    write_atomically(path, (_HEAD + dump_yaml(resolved.model_dump())).encode(), durable=True)


def read_resolved(path: Path) -> ResolvedRun | None:
    """Read resolved.yaml; None if the run never came that far. Raises UserError if it is broken."""
    if not path.exists():
        return None
    source = read_yaml(path)
    if source.data.get("format") != FORMAT:
        raise UserError(
            f"it has format {source.data.get('format')}, this version goes on with {FORMAT}",
            where=str(path),
            hint="Start the run anew from its config.yaml.",
        )
    try:
        return ResolvedRun.model_validate(source.data)
    except ValidationError as error:
        name = ".".join(str(key) for key in error.errors()[0]["loc"])
        raise UserError(
            f"not a resolved config: {name} is wrong",
            where=str(path),
            hint="Start the run anew from its config.yaml.",
        ) from None
