"""resolved.yaml: the plan as it was carried out. A resume reads it and never plans again."""

from pathlib import Path

from trainer_core.config.yaml_file import dump_yaml, read_yaml
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.planning.plan import ResolvedRun

_HEAD = "# What ran, and why each value is what it is. Written once, before the model was loaded.\n"


def write_resolved(path: Path, resolved: ResolvedRun) -> None:
    """Write a run's resolved.yaml."""
    write_atomically(path, (_HEAD + dump_yaml(resolved.model_dump())).encode(), durable=True)


def read_resolved(path: Path) -> ResolvedRun | None:
    """Read resolved.yaml; None if the run never came that far. Raises UserError if it is broken."""
    if not path.exists():
        return None
    source = read_yaml(path)
    try:
        return ResolvedRun.model_validate(source.data)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise UserError(f"not a resolved config: {first}", where=str(path)) from None
