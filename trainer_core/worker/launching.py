"""From a valid wish to a living worker: the job's folder, its record, its status, the start."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from trainer_core.config.export_section import ExportRequest
from trainer_core.config.load import LoadedConfig, dump_config, load_config
from trainer_core.config.predict_section import PredictRequest
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.history.replay import Replay, write_replay
from trainer_core.planning.export_limits import require_exportable
from trainer_core.runs.folder import RunFolder, run_name, typed_path
from trainer_core.runs.recorder import last_number
from trainer_core.runs.registry import RunEntry, find_run, new_run, unfinished_run, write_config
from trainer_core.runs.status import is_alive, new_status, write_status
from trainer_core.runs.trained import ADAPTER_CONFIG, holds, is_exported, run_of
from trainer_core.worker.client import require_free, start
from trainer_core.worker.job_folders import chosen_folder, next_folder
from trainer_core.worker.waiting import ask_to_wait

REQUEST = "request.json"


def launch_run(
    loaded: LoadedConfig,
    record: str,
    output: Path | None = None,
    *,
    wait_for: int | None = None,
    replay: Replay | None = None,
) -> RunFolder:
    """Start a training whose config.yaml is `record`; returns when it can be watched.

    The run folder is `output`, else the config's `run.folder`, else one of its own under ./runs.
    Where it holds this very run, not finished, that one goes on (`run.resume`). With `wait_for` its
    worker first waits until a GPU has so many bytes free. A `replay` is always a new run.
    Raises UserError if the folder cannot be made, BackpropError if the worker does not start.
    """
    config = loaded.config
    name = config.run.name or run_name(config.model.base)
    place = output or (Path(config.run.folder) if config.run.folder else None)
    if place is not None and config.run.resume == "auto" and replay is None:
        earlier = unfinished_run(place, record)
        if earlier is not None:
            start_when_free(earlier, wait_for)
            return earlier
    run_id, folder = new_run(name, place, record)
    if replay is not None:
        write_replay(folder, replay)
    write_status(folder, new_status(run_id, "train", config.model.base, config.data.name))
    start_when_free(folder, wait_for)
    return folder


def resume_run(
    entry: RunEntry,
    *,
    warm: bool = False,
    overrides: Sequence[str] = (),
    wait_for: int | None = None,
) -> int:
    """Start the worker of a run that ended before its end, which goes on from its newest
    checkpoint; returns the number of the last event before. With `warm` it goes on with other
    settings, data or base than it had; `wait_for` as for `launch_run`.

    Raises UserError for what cannot be gone on with, LockedError if it goes on already,
    BackpropError if the worker does not start.
    """
    folder = entry.folder
    if entry.status.state == "finished" and not warm:
        raise UserError(
            f"{entry.id} has finished",
            hint=f"What it trained is in {folder.path}. To train on from there: --warm "
            "--set training.steps=N",
        )
    if not folder.config.exists():
        raise UserError(f"{folder.path} has no config.yaml, so it cannot be resumed")
    if warm:
        make_warm(folder, overrides)
    before = last_number(folder.events)
    start_when_free(folder, wait_for)
    return before


def start_when_free(folder: RunFolder, wait_for: int | None) -> None:
    """Start a run's worker, which waits until a GPU has `wait_for` bytes free, where that is given.

    Raises as worker.client's `start`, and UserError if the folder cannot be written to.
    """
    if wait_for is not None and not is_alive(folder):
        try:
            ask_to_wait(folder, wait_for)
        except OSError as error:
            raise UserError(f"{folder.path} cannot be written to: {error.strerror}") from None
    start(folder)


def make_warm(folder: RunFolder, overrides: Sequence[str]) -> None:
    """Let a run go on from its newest checkpoint with its config.yaml as it is now and `overrides`,
    whatever it was planned with. Raises UserError for a config that cannot work, LockedError while
    the run lives."""
    require_free(folder)
    loaded = load_config(folder.config, overrides)
    try:
        folder.warm.touch()  # first: what follows can be done again
        if overrides:
            write_config(folder, dump_config(loaded))
        if folder.resolved.exists():
            folder.resolved.replace(_next_name(folder.resolved))
    except OSError as error:
        raise UserError(f"{folder.path} cannot be written to: {error.strerror}") from None


def _next_name(path: Path) -> Path:
    """Where a file that is replaced is kept: resolved.1.yaml and so on."""
    numbered = (path.with_suffix(f".{number}{path.suffix}") for number in range(1, 10_000))
    return next(place for place in numbered if not place.exists())


def launch_export(
    request: ExportRequest, output: Path | None = None, *, force: bool = False
) -> RunFolder:
    """Start an export and return its folder, where it can be followed like a run.

    That is `output`, else the next free number in the run's exports/, else in ./exports. With
    `force` an `output` that holds something already keeps it, but for what has the same name.
    Raises UserError if there is nothing to export or no place for it, BackpropError if the worker
    does not start.
    """
    require_exportable(request)
    source = source_folder(request.source)
    request = request.model_copy(update={"source": str(source), "force": force})
    return _launch("export", source, request, output, request.name, force=force)


def launch_predict(
    request: PredictRequest, output: Path | None = None, *, force: bool = False
) -> RunFolder:
    """Start a prediction job and return its folder, where it can be followed like a run: `output`,
    else the next free number in the run's predictions/, else in ./predictions.

    Raises UserError if there is nothing to ask or no place for it, BackpropError if the worker does
    not start.
    """
    source = asked_source(request.source, base=request.base)
    found = {"source": str(source)}
    if request.prompts is not None:
        prompts = typed_path(request.prompts)
        if not _is(Path.exists, prompts):
            raise UserError(f"{request.prompts} does not exist", hint="Check the path.")
        found["prompts"] = str(prompts)
    if request.data is not None and _is(Path.exists, typed_path(request.data)):
        found["data"] = str(typed_path(request.data))  # else one on the hub
    for name in ("prompts", "data"):
        if output is not None and typed_path(output) in Path(found.get(name, "")).parents:
            raise UserError(
                f"{found[name]} lies in {output}, where the answers would replace it",
                hint="Name another place with --output.",
            )
    request = request.model_copy(update=found)
    return _launch("predict", source, request, output, None, force=force)


def asked_source(source: str, *, base: bool) -> Path:
    """The run, the folder of weights or the export that is asked, or the base of which is.
    Raises UserError, also where there is no base below it."""
    file = typed_path(source)
    exported = _is(is_exported, file)
    path = file if exported else source_folder(source)
    of_its_own = run_of(path) is None and not (path / ADAPTER_CONFIG).is_file()
    if base and (of_its_own or exported):
        raise UserError(
            f"{source} is a model of its own, and its base is not known",
            hint="Name the model itself.",
        )
    return path


_KINDS = {"export": "exports", "predict": "predictions"}


def _launch(
    job: Literal["export", "predict"],
    source: Path,
    request: ExportRequest | PredictRequest,
    output: Path | None,
    name: str | None,
    *,
    force: bool,
) -> RunFolder:
    if output is not None:
        folder = chosen_folder(output, job, force=force)
    else:
        run, kind = run_of(source), _KINDS[job]
        place = Path(kind, name or run_name(str(source))).absolute()
        folder = next_folder(run.path / kind if run is not None else place)
    try:
        write_atomically(folder.path / REQUEST, request.model_dump_json(indent=1).encode())
        write_status(folder, new_status(folder.path.name, job, str(source)))
    except OSError as error:
        raise UserError(
            f"{folder.path} cannot be written to: {error.strerror}",
            hint="Name another place with --output.",
        ) from None
    start(folder, job)
    return folder


def source_folder(source: str) -> Path:
    """The folder of a run or of weights. Raises UserError."""
    path = typed_path(source)
    return path if _is(holds, path) else find_run(source).folder.path


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # a name that no file can have
        return False
