"""Trackio: in its own folder on this machine, or where the user's TRACKIO_… variables say."""

import secrets

import trackio

from trainer_core.tracking.tracker import About, Ending, Notes, Row, as_markdown


class TrackioRun:
    """Runs are gone on with by name there, so one whose name is taken gets another."""

    def __init__(self, about: About, notes: Notes) -> None:
        project = notes.get("project") or about.project or about.title
        name = notes.get("name") or about.name
        if not notes and _is_taken(project, name):
            name = f"{name}-{secrets.token_hex(2)}"
        self.notes = {"project": project, "name": name}
        self._step = 0
        self._run = trackio.init(
            project=project,
            name=name,
            config=about.config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, row: Row) -> None:
        values: dict[str, object] = {**row.values}
        if row.answers:
            values["answers"] = trackio.Markdown(as_markdown(row.answers))
        self._run.log(values, step=row.step)
        self._step = row.step

    def flush(self) -> None:
        """It writes twice a second, in a thread of its own."""

    def finish(self, ending: Ending) -> None:
        values: dict[str, object] = {f"summary/{name}": x for name, x in ending.summary.items()}
        words = f"{ending.outcome} {ending.message}".strip()
        self._run.log({**values, "outcome": words}, step=self._step)
        self._run.finish()


def _is_taken(project: str, name: str) -> bool:
    try:
        return any(run.name == name for run in trackio.Api().runs(project))
    except ValueError:  # there is no such project yet
        return False
