"""What a look at a run finds of what an export needs: what was trained, what of, what is exported
already, how much room there is. Reads files, so it is done in a thread."""

import shutil
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from trainer_core.config.export_section import ExportRequest, ExportSection
from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from trainer_core.planning.bases import known_facts
from trainer_core.planning.export_sizes import Material, material
from trainer_core.planning.facts import ModelFacts
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import RunEntry, list_runs
from trainer_core.runs.status import ENDED, Status, read_status, shown_state
from trainer_core.runs.trained import ADAPTER_CONFIG, TrainedPlace, trained_places

# Modules of other runtimes, by the extra that brings them.
MODULES = {
    "export": ("gguf", "llama_cpp"),
    "onnx": ("onnx", "onnxruntime", "onnxruntime_genai"),
}


@dataclass(frozen=True)
class PastExport:
    """An export of a run, ended or not. `asked` is None where its request cannot be read."""

    folder: RunFolder
    status: Status
    state: str
    asked: ExportRequest | None

    @property
    def number(self) -> str:
        """Its folder's name."""
        return self.folder.path.name

    @property
    def is_alive(self) -> bool:
        """Whether it goes on."""
        return self.state not in {*ENDED, "died"}


@dataclass(frozen=True)
class Found:
    """What is known of a run. `place` is what would be exported, None where nothing is trained yet.

    `section` is what the run's config says on exports; `notes` are sentences on what is not known,
    and why; `missing` are the modules of MODULES that are not installed.
    """

    entry: RunEntry
    places: tuple[TrainedPlace, ...] = ()
    place: TrainedPlace | None = None
    known: Material = field(default_factory=lambda: Material(None))
    section: ExportSection = field(default_factory=ExportSection)
    notes: tuple[str, ...] = ()
    exports: tuple[PastExport, ...] = ()
    free: int | None = None
    missing: frozenset[str] = frozenset()

    @property
    def is_adapter(self) -> bool:
        """Whether an adapter was trained, rather than a whole model."""
        return self.place is not None and (self.place.path / ADAPTER_CONFIG).is_file()

    @property
    def base_is_quantized(self) -> bool:
        """Whether the base's own weights are quantised."""
        return self.known.model is not None and self.known.model.quantized != "none"

    @property
    def living(self) -> PastExport | None:
        """The export that goes on, if one does."""
        return next((one for one in self.exports if one.is_alive), None)


def look(folder: RunFolder, place: str = "", before: Found | None = None) -> Found:
    """Look at a run, and at `place` (best, last, step-N; else the first there is) of what it has
    trained. What `before` knows of the same place's model is not read again.

    Raises UserError for a folder that is no run's.
    """
    status = read_status(folder)
    if status is None:
        raise UserError(f"{folder.path} is not a run's folder", hint="Choose another run.")
    found = Found(
        RunEntry(status.run, folder, status, shown_state(folder, status)),
        tuple(trained_places(folder)),
        exports=past_exports(folder),
        free=_free(folder.path),
        missing=_missing(),
    )
    chosen = next((one for one in found.places if one.name == place), None)
    found = replace(found, place=chosen or next(iter(found.places), None))
    if before is not None and before.entry.folder == folder and before.place == found.place:
        return replace(found, known=before.known, section=before.section, notes=before.notes)
    return _with_model(found)


def past_exports(folder: RunFolder) -> tuple[PastExport, ...]:
    """The exports of a run, newest first."""
    try:
        paths = [path for path in (folder.path / "exports").iterdir() if path.name.isdecimal()]
    except OSError:
        return ()
    found = (_past(RunFolder(path)) for path in sorted(paths, key=lambda p: -int(p.name)))
    return tuple(one for one in found if one is not None)


def read_request(folder: RunFolder) -> ExportRequest | None:
    """What an export was asked for; None where that cannot be read."""
    try:
        return ExportRequest.model_validate_json((folder.path / "request.json").read_bytes())
    except (OSError, ValueError):
        return None


def run_to_open() -> RunFolder | None:
    """Of all runs: the one whose export goes on, else the newest that has trained something, else
    the newest."""
    entries = list_runs()
    for entry in entries:
        if any(one.is_alive for one in past_exports(entry.folder)):
            return entry.folder
    trained = (entry.folder for entry in entries if trained_places(entry.folder))
    return next(trained, entries[0].folder if entries else None)


def _past(folder: RunFolder) -> PastExport | None:
    status = read_status(folder)
    if status is None:
        return None
    return PastExport(folder, status, shown_state(folder, status), read_request(folder))


def _with_model(found: Found) -> Found:
    """With what the run says of its base, and the adapter's folder of itself."""
    notes, section = [], ExportSection()
    model: ModelFacts | None = None
    base: Path | None = None
    folder = found.entry.folder
    try:
        resolved = _resolved(folder)
        loaded = load_config(folder.config) if folder.config.is_file() else None
        source = resolved or loaded
        if source is not None:
            section = source.config.export
            model = known_facts(source.config, loaded.facts if loaded is not None else {})
            base = Path(source.config.model.base).expanduser()
    except UserError as error:
        notes.append(str(error))
    known = Material(model)
    if found.place is not None:
        try:
            known = material(found.place.path, model, base)
        except UserError as error:
            notes.append(str(error))
    return replace(found, known=known, section=section, notes=tuple(notes))


def _resolved(folder: RunFolder) -> ResolvedRun | None:
    """The run as planned; None for one of another version, which its weights can be taken from."""
    try:
        return read_resolved(folder.resolved)
    except UserError:
        return None


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _missing() -> frozenset[str]:
    modules = (name for names in MODULES.values() for name in names)
    return frozenset(name for name in modules if find_spec(name) is None)
