"""Whether there is room for what an export will write."""

import shutil
from pathlib import Path

from trainer_core.config.export_section import ExportRequest
from trainer_core.errors import UserError
from trainer_core.export.source import Source
from trainer_core.planning.export_sizes import estimate, material, room_needed
from trainer_core.planning.facts import model_facts
from trainer_core.text import size


def require_room(folder: Path, request: ExportRequest, source: Source) -> None:
    """Raise UserError if the disk of `folder` has less room than the export should have."""
    base = source.base or source.folder
    known = material(source.folder, model_facts(base), base)
    needed = room_needed(estimate(known, request))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"the export should have {size(needed)} of room, and {folder} has {size(free)}",
            hint="Make room, name another disk with --output, or ask for fewer formats.",
        )
