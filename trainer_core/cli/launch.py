"""From a valid config to a running worker: check, make the run folder, start, watch."""

from dataclasses import dataclass
from pathlib import Path

from trainer_core.cli.dashboard import no_dashboard_because, open_dashboard
from trainer_core.cli.headless import follow, say
from trainer_core.config.data_section import SPLITS, DataSection
from trainer_core.config.load import LoadedConfig, dump_config
from trainer_core.data.opening import first_conversations, open_sources
from trainer_core.errors import UserError
from trainer_core.planning.backend import choose_backend
from trainer_core.planning.facts import is_local, model_facts
from trainer_core.runs.folder import RunFolder, run_name
from trainer_core.runs.recorder import last_number
from trainer_core.runs.registry import find_run, new_run
from trainer_core.runs.status import new_status, write_status
from trainer_core.tokens.tokenizer import named_template
from trainer_core.worker.client import start


@dataclass(frozen=True)
class Watching:
    """How the user wants to follow the run."""

    headless: bool = False
    json: bool = False
    fps: int = 10


def launch(loaded: LoadedConfig, output: Path | None, watching: Watching) -> int:
    """Start a new run and watch it; returns the exit status. Raises UserError before anything is
    written if the run could not work."""
    preflight(loaded)
    config = loaded.config
    name = config.run.name or run_name(config.model.base)
    run_id, folder = new_run(name, output, dump_config(loaded))
    write_status(folder, new_status(run_id, "train", config.model.base, config.data.name))
    start(folder)
    return watch(folder, watching)


def resume(reference: str, watching: Watching) -> int:
    """Go on with a run from its newest checkpoint; returns the exit status."""
    entry = find_run(reference)
    if entry.status.state == "finished":
        raise UserError(
            f"{entry.id} has finished", hint=f"Its adapter: {entry.folder.adapter / 'last'}"
        )
    if not entry.folder.config.exists():
        raise UserError(f"{entry.folder.path} has no config.yaml, so it cannot be resumed")
    before = last_number(entry.folder.events)
    start(entry.folder)
    return watch(entry.folder, watching, after=before)


def watch(folder: RunFolder, watching: Watching, after: int = 0) -> int:
    """The dashboard, or lines of text where it is not wanted or not possible."""
    reason = "" if watching.headless or watching.json else no_dashboard_because()
    if reason:
        say(f"{reason}, so this run is shown as text (--headless)")
    if reason or watching.headless or watching.json:
        return follow(folder, as_json=watching.json, after=after)
    return open_dashboard(folder, watching.fps)


def preflight(loaded: LoadedConfig) -> None:
    """What can be known to fail in a second should not fail in a minute."""
    config = loaded.config
    choose_backend(config.model.backend)
    pairs = _all_pairs(config.data)
    if config.model.template is not None:
        named_template(config.model.template)
    if not is_local(config.model.base):
        return  # the job fetches it
    base = Path(config.model.base).expanduser()
    if not base.is_dir():
        raise UserError(
            f"the model folder {config.model.base} does not exist",
            hint="Name a folder with a model, or a model on the hub such as owner/name.",
        )
    facts = model_facts(base)
    if not (facts.has_template or config.model.template or pairs):
        raise UserError(
            f"{base.name} has no chat template, and {config.data.name} holds conversations",
            hint="Name a Jinja template in model.template, or use prompt/completion rows.",
        )


def _all_pairs(data: DataSection) -> bool:
    """Whether the first rows of every source that lies here are pairs or texts, which a model
    without a chat template can learn. Raises UserError for the first that cannot be used."""
    here = data.model_copy(
        update={
            name: [source for source in getattr(data, name) if source.hub is None]
            for name in SPLITS
        }
    )
    talks = [talk for source in open_sources(here) for talk in first_conversations(here, source)]
    return all(talk.pair or talk.text is not None for talk in talks)
