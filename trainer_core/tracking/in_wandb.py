"""Weights & Biases. Where it is not told otherwise and knows no key, it writes into the run folder
and sends nothing."""

import os
import secrets

import wandb

from trainer_core.tracking.tracker import About, Ending, Notes, Row


class WandbRun:
    """What the user's own WANDB_… variables say stands, but for the run's name and id."""

    def __init__(self, about: About, notes: Notes) -> None:
        mode = os.environ.get("WANDB_MODE")
        if not mode and not wandb.login(prompt=False, verify=False):
            mode = "offline"
        self.notes = {"id": notes.get("id") or secrets.token_hex(4)}
        self._run = wandb.init(
            project=about.project or os.environ.get("WANDB_PROJECT") or about.title,
            name=about.name,
            id=self.notes["id"],
            resume="allow" if notes else None,  # which a server must be asked about
            dir=os.environ.get("WANDB_DIR") or str(about.folder),
            config=about.config,
            allow_val_change=True,
            mode=mode,  # type: ignore[arg-type]
            # This process is not the training: what it prints, runs and takes is of no interest.
            settings=wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                disable_job_creation=True,
                save_code=False,
                x_disable_stats=True,
            ),
        )

    def log(self, row: Row) -> None:
        values: dict[str, object] = {**row.values, "_timestamp": row.time}
        if row.answers:
            rows = [[one.prompt, one.answer] for one in row.answers]
            values["answers"] = wandb.Table(columns=["prompt", "answer"], data=rows)
        self._run.log(values, step=row.step)

    def flush(self) -> None:
        """Its own service has it, and outlives us for as long as it takes to write it down."""

    def finish(self, ending: Ending) -> None:
        self._run.summary.update({f"summary/{name}": x for name, x in ending.summary.items()})
        self._run.summary.update({"outcome": ending.outcome, "message": ending.message})
        self._run.finish(exit_code=int(ending.outcome in ("failed", "killed")))
