"""What can answer on the Try screen: the base of a run, what it trained, its exports; or weights
that lie in no run. Reads files, so it is done in a thread."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer_core.config.predict_section import ModelRequest
from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import list_runs
from trainer_core.runs.status import read_status
from trainer_core.runs.trained import (
    ADAPTER_CONFIG,
    holds,
    is_exported,
    is_onnx,
    run_of,
    trained_places,
)
from trainer_core.text import one_line
from tui.export_words import place_words

BASE = "base"


@dataclass(frozen=True)
class Answerer:
    """A model that can answer. `name` is short, for the head of a column; `about` says more."""

    name: str
    about: str
    request: ModelRequest


@dataclass(frozen=True)
class Found:
    """What a look at `place`, a run or weights, has found. `chosen` is what the place itself names:
    the best of a run, or the weights; None where nothing is trained yet."""

    place: Path
    name: str
    run: RunFolder | None
    models: tuple[Answerer, ...]
    chosen: Answerer | None

    @property
    def base(self) -> Answerer | None:
        """The base, where there is one below."""
        return next((one for one in self.models if one.request.base), None)


def look(place: Path) -> Found:
    """Look at a run, at weights inside one, or at weights alone. Raises UserError for what is
    neither."""
    run = run_of(place)
    if run is None:
        return _alone(place)
    status = read_status(run)
    models = (
        Answerer(BASE, "the model before training", _request(run.path, base=True)),
        *_trained(run),
        *_exported(run),
    )
    mine = (one for one in models if Path(one.request.source) == place and place != run.path)
    trained = (one for one in models if not one.request.base)
    return Found(
        place,
        one_line(status.run if status is not None else run.path.name),
        run,
        models,
        next(mine, None) or next(trained, None),
    )


def place_to_open() -> Path | None:
    """Of all runs: the newest that has trained something, else the newest."""
    entries = list_runs()
    trained = (entry.folder.path for entry in entries if trained_places(entry.folder))
    return next(trained, entries[0].folder.path if entries else None)


def _trained(run: RunFolder) -> Iterator[Answerer]:
    for place in trained_places(run):
        request = _request(run.path, checkpoint=place.name)
        yield Answerer(place.name, place_words(place) or "as it was when the run ended", request)


def _exported(run: RunFolder) -> Iterator[Answerer]:
    """Whole models among the exports, newest first; an adapter is the run's own once more."""
    if not run.exports.is_dir():
        return
    folders = [path for path in run.exports.iterdir() if path.name.isdecimal()]
    for folder in sorted(folders, key=lambda path: -int(path.name)):
        if holds(folder / "merged"):
            yield _export(folder, folder / "merged")
        if is_onnx(folder / "onnx"):
            yield _export(folder, folder / "onnx")
        for file in sorted(folder.glob("*.gguf")):
            if "-lora-" not in file.name:
                yield _export(folder, file)


def _export(folder: Path, path: Path) -> Answerer:
    kind = path.stem.rpartition("-")[2] if path.suffix == ".gguf" else path.name
    name = f"{folder.name}/{one_line(kind, limit=12)}"
    return Answerer(name, one_line(f"exports/{folder.name}/{path.name}"), _request(path))


def _alone(place: Path) -> Found:
    if not holds(place) and not is_exported(place):
        raise UserError(
            f"{place} is no run, no weights and no export",
            hint="Name one: backprop try RUN",
        )
    name = one_line(place.name, limit=24)
    model = Answerer(name, one_line(str(place)), _request(place))
    base = Answerer(BASE, "the model below the adapter", _request(place, base=True))
    models = (base, model) if (place / ADAPTER_CONFIG).is_file() else (model,)
    return Found(place, one_line(str(place)), None, models, model)


def _request(source: Path, *, checkpoint: str | None = None, base: bool = False) -> ModelRequest:
    return ModelRequest(source=str(source), checkpoint=checkpoint, base=base)
