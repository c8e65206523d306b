"""The run folder: where each thing stands. docs/formats.md describes every file."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from trainer_core.errors import UserError

# The version of the files in a run folder.
FORMAT = 1
CONFIG_NAME = "config.yaml"
# How a run's own config begins.
CONFIG_HEAD = "# As given: the file and the flags together, paths made absolute.\n"


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run. Existing or not; nothing is touched until it is written."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / CONFIG_NAME

    @property
    def resolved(self) -> Path:
        return self.path / "resolved.yaml"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def metrics_stream(self) -> Path:
        return self.path / "metrics_stream.jsonl"

    @property
    def training_metrics(self) -> Path:
        return self.path / "training" / "training_metrics.jsonl"

    @property
    def hardware_metrics(self) -> Path:
        return self.path / "training" / "hardware_metrics.jsonl"

    @property
    def curves(self) -> Path:
        return self.path / "curves"

    @property
    def worker_log(self) -> Path:
        return self.path / "worker.log"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    def trained(self, method: str) -> Path:
        """Where `best` and `last` of what was trained are: adapters, or whole models."""
        return self.path / "model" if method == "full" else self.adapter

    def part(self, number: int) -> "RunFolder":
        """The folder of one run of a multi-run: its checkpoints and adapters."""
        return RunFolder(self.path / f"run-{number:02d}")

    def arm(self, name: str) -> "RunFolder":
        """The folder of a baseline that a multi-run is compared with; its runs are its parts."""
        return RunFolder(self.path / "compare" / name)

    @property
    def done(self) -> Path:
        """Of one run of a multi-run: how it ended, written when all else is there."""
        return self.path / "done.json"

    @property
    def fine_tuned(self) -> Path:
        """Of one run of a multi-run: the adapter as that run left it."""
        return self.adapter / "fine-tuned"

    @property
    def merged(self) -> Path:
        """Of one run of a multi-run: the adapter of all runs so far."""
        return self.adapter / "merged"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions"

    @property
    def predictions_file(self) -> Path:
        """Of a prediction job: a line for each answer."""
        return self.path / "predictions.jsonl"

    @property
    def transcripts(self) -> Path:
        """Conversations with what was trained, a file a day."""
        return self.path / "transcripts"

    @property
    def half_made(self) -> Path:
        """What a job has not finished yet; nobody reads it, and it goes when the job does."""
        return self.path / ".partial"

    @property
    def identity(self) -> Path:
        """Fingerprints of what the run is made of (engine/identity.py)."""
        return self.path / "identity.json"

    @property
    def provenance(self) -> Path:
        """The machine, the libraries and the data of the run (runs/provenance.py)."""
        return self.path / "provenance.json"

    @property
    def replay(self) -> Path:
        """Of a replay: which run it repeats, and what it keeps of it (history/replay.py)."""
        return self.path / "replay.json"

    @property
    def warm(self) -> Path:
        """Where this is, a resume may go on with something else than what the run began with."""
        return self.path / "warm"

    @property
    def flight(self) -> Path:
        """What the job was just doing (runs/flight.py)."""
        return self.path / "flight.json"

    @property
    def black_box(self) -> Path:
        """What is known of a job that died."""
        return self.path / "black_box.json"

    @property
    def report(self) -> Path:
        """What became of the run, for people; its plots beside it."""
        return self.path / "report.md"

    @property
    def report_page(self) -> Path:
        """The same as one HTML file, plots included."""
        return self.path / "report.html"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    def exists(self) -> bool:
        """Whether this is a run folder (it has a status)."""
        return self.status.is_file()


def typed_path(typed: str | Path) -> Path:
    """A path as a person types it, made absolute. Raises UserError for a blank one, which would be
    the current folder, and for the home of a user who is not known here."""
    if not str(typed).strip():
        raise UserError(
            "a run or a path is needed, and what was given is blank",
            hint="Perhaps a variable is not set. `backprop runs` lists the runs.",
        )
    try:
        return Path(typed).expanduser().absolute()
    except RuntimeError:
        raise UserError(f"{typed} names the home of a user who is not known here") from None


def run_name(base: str) -> str:
    """A short name for a run of the model `base`, safe in a path."""
    tail = base.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", tail).strip("-._")[:40] or "run"


def new_run_id(name: str) -> str:
    """`<date>-<time>-<name>`, in local time."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"


def create_run_folder(run_id: str, output: Path | None) -> RunFolder:
    """Make an empty run folder: `output`, or ./runs/<run_id> (with -2, -3… if it is taken).

    Raises UserError if `output` holds something already or cannot be made.
    """
    if output is None:
        return _first_free(Path("runs").absolute(), run_id)
    path = typed_path(output)
    try:
        path.mkdir(parents=True, exist_ok=True)
        occupied = any(not _begun(entry) for entry in path.iterdir())
    except (OSError, ValueError) as error:
        raise UserError(f"the run folder {output} cannot be made: {_reason(error)}") from None
    if RunFolder(path).exists():
        raise UserError(
            f"{output} already holds a run",
            hint=f"Continue it with --resume {output}, or name another folder.",
        )
    if occupied:
        raise UserError(f"{output} is not empty", hint="Name a new or an empty folder.")
    _check_writable(path)
    return RunFolder(path)


def _first_free(parent: Path, run_id: str) -> RunFolder:
    for number in range(1, 1000):
        path = parent / (run_id if number == 1 else f"{run_id}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                f"the run folder {path} cannot be made: {_reason(error)}",
                hint="Name another with --output.",
            ) from None
        return RunFolder(path)
    raise UserError(
        f"{parent} holds a thousand runs named {run_id}", hint="Name one with --output."
    )


def _begun(path: Path) -> bool:
    """Whether a file is of a run that was killed before it had a status, so that nothing is lost
    with it: its config, the half-made files beside that."""
    if path.name == CONFIG_NAME and path.is_file():
        with path.open("rb") as file:
            return file.read(len(CONFIG_HEAD)) == CONFIG_HEAD.encode()
    return path.name.startswith((f".{CONFIG_NAME}.", ".status.json."))


def _check_writable(path: Path) -> None:
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(
            f"the run folder {path} is not writable", hint="Name another with --output."
        )


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
