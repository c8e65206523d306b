"""What the Python API gives back: plain values that do not change. Losses are in nats per trained
token, sizes in bytes, times in seconds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer_core.data.chat import Ended
from trainer_core.planning.draft import Draft
from trainer_core.planning.multi_run import PlannedRun
from trainer_core.planning.report import plan_lines
from trainer_core.runs.events import Exported, Finished
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Score, Summary
from trainer_core.text import duration, one_line, size

# A repr shows so much of a prompt or an answer.
SHOWN = 60


@dataclass(frozen=True, repr=False)
class TrainResult:
    """How a training ended: `outcome` is finished or stopped, `steps` how many optimizer steps it
    has, those before it was gone on with included. `folder` is the run folder, `adapter` what was
    trained (of a full fine-tuning the whole model; not there where it was stopped before its first
    step), `message` why it ended early, if it did."""

    outcome: str
    steps: int
    folder: Path
    adapter: Path
    first_loss: float | None
    last_loss: float | None
    best_eval_loss: float | None
    seconds: float
    message: str = ""

    @classmethod
    def of(cls, folder: RunFolder, ended: Finished) -> "TrainResult":
        """Of the run in `folder`, which ended so."""
        return cls(
            outcome=ended.outcome,
            steps=ended.step,
            folder=folder.path,
            adapter=Path(ended.saved) if ended.saved else folder.adapter / "last",
            first_loss=ended.summary.get("first_loss"),
            last_loss=ended.summary.get("last_loss"),
            best_eval_loss=ended.summary.get("best_eval_loss"),
            seconds=ended.elapsed,
            message=ended.message,
        )

    def __repr__(self) -> str:
        best = "" if self.best_eval_loss is None else f", validation {self.best_eval_loss:.4f}"
        return (
            f"TrainResult({self.outcome} at step {self.steps:,} in {duration(self.seconds)}: "
            f"{_losses(self.first_loss, self.last_loss)}{best}; {self.adapter})"
        )


@dataclass(frozen=True, repr=False)
class RunResult:
    """One run of a multi-run: what it is called, the optimizer steps it trained, the loss of its
    first and last step. `fine_tuned` is the adapter as this run left it, `merged` that of all runs
    so far; None where it did not come so far."""

    number: int
    name: str
    steps: int
    first_loss: float | None
    last_loss: float | None
    fine_tuned: Path | None
    merged: Path | None

    def __repr__(self) -> str:
        losses = _losses(self.first_loss, self.last_loss)
        return f"RunResult({self.number}: {self.name}, {self.steps:,} steps, {losses})"


@dataclass(frozen=True, repr=False)
class ForgettingResult:
    """What is known of rows that were held out: `slices` names those of each run, and "general"
    those of validation.

    `before` has a Score (loss, accuracy) of each slice before the first run. `scores` has, after
    each run, the same: of the `merged` adapter, of the run's own (`fine_tuned`), and of the
    baselines (`sequential`, `joint`) that were trained to compare with. `summaries` sums up the
    last row of each, by `loss` and `accuracy`: average, backward transfer and forgetting, with
    their 95 % bootstrap intervals.
    """

    slices: tuple[str, ...]
    before: tuple[Score, ...]
    scores: dict[str, tuple[tuple[Score, ...], ...]]
    summaries: dict[str, dict[str, Summary]]

    def losses(self, arm: str = "merged") -> list[list[float]]:
        """The matrix of losses: a row for each run, a column for each slice."""
        return [[score.loss for score in row] for row in self.scores[arm]]

    def __repr__(self) -> str:
        return f"ForgettingResult({', '.join(self._words())})"

    def _words(self) -> list[str]:
        words = []
        for arm, summary in self.summaries.items():
            said = f"{arm} {summary['loss'].average.value:.3f}"
            lost = summary["loss"].forgetting
            words.append(said if lost is None else f"{said} with {lost.value:.3f} forgotten")
        return words


@dataclass(frozen=True, repr=False)
class MultiRunResult:
    """How a multi-run ended: `outcome` is finished or stopped, `adapter` the newest merged one,
    `runs` those that began. `forgetting` is None where it was not measured."""

    outcome: str
    steps: int
    folder: Path
    adapter: Path
    runs: tuple[RunResult, ...]
    forgetting: ForgettingResult | None
    seconds: float
    message: str = ""

    def __repr__(self) -> str:
        measured = f", {self.forgetting!r}" if self.forgetting is not None else ""
        return (
            f"MultiRunResult({self.outcome} with {len(self.runs)} runs in "
            f"{duration(self.seconds)}{measured}; {self.adapter})"
        )


@dataclass(frozen=True, repr=False)
class EvalResult:
    """How well a model knows data. `loss` is the mean over all trained tokens in nats, `perplexity`
    exp(loss), `accuracy` the share of trained tokens that were its likeliest; `examples` and
    `tokens` are how many were scored."""

    loss: float
    perplexity: float
    accuracy: float
    examples: int
    tokens: int

    def __repr__(self) -> str:
        return (
            f"EvalResult(loss {self.loss:.4f}, perplexity {self.perplexity:.3g}, "
            f"{self.accuracy:.1%} of {self.tokens:,} tokens right in {self.examples:,} examples)"
        )


@dataclass(frozen=True, repr=False)
class Prediction:
    """An answer. `prompt` is as it was given, `tokens` how many were written, the one that ended
    the answer included; `seconds` is what the batch took that it was written in; `ended` is what
    ended it: itself, length (`max_tokens`), or context (it is full)."""

    prompt: Any
    answer: str
    tokens: int
    seconds: float
    ended: Ended

    def __repr__(self) -> str:
        prompt = self.prompt if isinstance(self.prompt, str) else self.prompt[-1].get("content")
        asked, answer = (one_line(str(text), limit=SHOWN) for text in (prompt, self.answer))
        return f"Prediction({asked!r} → {answer!r}, {self.tokens:,} tokens)"


@dataclass(frozen=True, repr=False)
class ExportResult:
    """What an export wrote: `files` with the check of each, in `folder`; `commands` come next."""

    folder: Path
    files: list[Exported]
    commands: list[str]

    def __repr__(self) -> str:
        files = ", ".join(f"{one.path} ({size(one.size)})" for one in self.files)
        return f"ExportResult({files} in {self.folder})"


@dataclass(frozen=True, repr=False)
class Plan:
    """What a training would be, without one. `values` are all settings by dotted name, with why
    each is so in `reasons`; `memory` is what it takes by component, in bytes, and empty where the
    sizes of the model are not known. `fits` is None there. `runs` are those of a multi-run.
    `advice` is what to change where it does not fit; `estimated` says that the data was guessed
    from its first rows. Printing it gives all of this as text."""

    values: dict[str, Any]
    reasons: dict[str, str]
    total_steps: int
    epochs: float
    runs: tuple[PlannedRun, ...]
    memory: dict[str, int]
    memory_total: int | None
    memory_budget: int | None
    fits: bool | None
    advice: str
    warnings: tuple[str, ...]
    estimated: bool
    lines: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, found: Draft) -> "Plan":
        """A plan that was made."""
        run, memory = found.run, found.memory
        assert run is not None  # noqa: S101 - plan_ahead raises where there is none
        return cls(
            values=run.values(),
            reasons=run.reasons(),
            total_steps=run.total_steps,
            epochs=run.epochs,
            runs=tuple(run.runs),
            memory=dict(memory.parts) if memory is not None else {},
            memory_total=memory.total if memory is not None else None,
            memory_budget=memory.budget if memory is not None else None,
            fits=memory.fits if memory is not None else None,
            advice=found.advice,
            warnings=tuple(run.warnings),
            estimated=found.estimated,
            lines=tuple(plan_lines(found)),
        )

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        taken = "memory not known"
        if self.memory_total is not None and self.memory_budget is not None:
            fits = "fits in" if self.fits else "does not fit in"
            taken = f"{size(self.memory_total)} {fits} {size(self.memory_budget)}"
        return f"Plan({self.total_steps:,} steps, {self.epochs:.2f} epochs, {taken})"


def _losses(first: float | None, last: float | None) -> str:
    return "no step" if first is None or last is None else f"loss {first:.4f} → {last:.4f}"
