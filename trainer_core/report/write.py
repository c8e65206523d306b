"""Writing a run's report: report.md and plots/, and report.html where it is wanted."""

import hashlib
import logging
import shlex
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.history.reading import material_of
from trainer_core.markdown import code, table
from trainer_core.report import answers, sections
from trainer_core.report.story import Story, read_story
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.identity import read_identity

log = logging.getLogger(__name__)


def write_report(folder: RunFolder, page: Path | None = None) -> Path:
    """Write report.md and its plots in the run folder, in place of older ones; also one HTML file
    that needs nothing beside it, if `page` says where. Returns what the caller wants to open.

    The run may still go on, or have ended in any way. Raises UserError where there is no run, or no
    place to write.
    """
    story = read_story(folder)
    try:
        plots = _draw(story)
        text = _markdown(story, plots)
        write_atomically(folder.report, text.encode())
        if page is None:
            return folder.report
        from trainer_core.report.html import page_of

        places = [f"plots/{name}.png" for name in plots]
        pictures = {place: (folder.path / place).read_bytes() for place in places}
        write_atomically(page, page_of(text, story.status.run, pictures).encode())
        return page
    except OSError as error:
        place = page or folder.report
        raise UserError(f"{place} cannot be written: {error.strerror or error}") from None


def _markdown(story: Story, plots: list[str]) -> str:
    parts = [
        sections.head(story),
        sections.what_ran(story),
        sections.results(story),
        sections.warnings(story),
        sections.curves(plots),
        answers.samples(story),
        answers.scores(story),
        sections.multi_run(story),
        sections.data(story),
        sections.checkpoints(story),
        sections.exports(story),
        _reproduce(story),
        sections.settings(story),
        sections.unread(story),
    ]
    return "\n\n".join("\n".join(part).strip() for part in parts if part) + "\n"


def _draw(story: Story) -> list[str]:
    try:
        from trainer_core.report.plots import draw_plots
    except ImportError:
        log.warning("no plots, for matplotlib is missing: pip install matplotlib")
        return []
    return draw_plots(story)


def _reproduce(story: Story) -> list[str]:
    """The commands, the fingerprints and the versions with which it can be done again."""
    folder = story.folder
    place = shlex.quote(str(folder.path))
    commands = [
        f"backprop replay {place}    # the same settings, planned once and kept",
        f"backprop train {shlex.quote(str(folder.config))}    # its config, planned anew",
    ]
    lines = ["## To do it again", "", "```", *commands, "```", ""]
    prints = [(path.name, _sha256(path)) for path in (folder.config, folder.resolved)]
    identity = read_identity(folder)
    if identity is not None:
        prints.append(("the base model's files", str(identity.get("base", "not known"))))
        try:
            prints += [
                (f"{split} data, {one.rows:,} examples", one.fingerprint)
                for split, one in material_of(identity).items()
                if one.rows
            ]
        except ValueError:
            story.unread.append(folder.identity.name)
    lines.append(table(("fingerprint (SHA-256)", ""), prints))
    if story.provenance is not None:
        versions = story.provenance.versions.items()
        said = ", ".join(f"{code(f'{name} {version}')}" for name, version in versions)
        lines += ["", f"With {said}."]
    return lines


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "not there"
