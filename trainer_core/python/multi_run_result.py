"""The result of a multi-run, from its events: those before it was gone on with too."""

from dataclasses import dataclass
from pathlib import Path

from trainer_core.python.results import ForgettingResult, MultiRunResult, RunResult
from trainer_core.runs.events import Event, Finished, Metrics, decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.multi_run_events import Forgetting, RunStart, Score, Summary

_STATES = ("merged", "fine_tuned")


def multi_run_result(folder: RunFolder, ended: Finished) -> MultiRunResult:
    """What became of the multi-run in `folder`."""
    starts: dict[int, RunStart] = {}
    losses: dict[int, _Losses] = {}
    known: dict[tuple[str, int], Forgetting] = {}
    arm = ""
    for event in _events(folder):
        if isinstance(event, Forgetting):
            known[event.arm, event.run] = event
        elif isinstance(event, RunStart):
            arm = event.arm
            if not arm:
                starts[event.run] = event
        elif isinstance(event, Metrics) and not arm:
            losses.setdefault(event.run, _Losses()).see(event)
    runs = [
        _run(folder, start, losses.get(number, _Losses()))
        for number, start in sorted(starts.items())
    ]
    return MultiRunResult(
        outcome=ended.outcome,
        steps=ended.step,
        folder=folder.path,
        adapter=Path(ended.saved) if ended.saved else folder.adapter / "last",
        runs=tuple(runs),
        forgetting=_forgetting(known),
        seconds=ended.elapsed,
        message=ended.message,
    )


@dataclass
class _Losses:
    """Of one run: its first and its last loss, and the last step, counted through all runs."""

    first: float | None = None
    last: float | None = None
    step: int = 0

    def see(self, event: Metrics) -> None:
        loss = event.values.get("loss")
        if loss is not None:
            self.first = loss if self.first is None else self.first
            self.last = loss
        self.step = event.step


def _events(folder: RunFolder) -> list[Event]:
    found = []
    for line, _ in read_lines(folder.events):
        try:
            found.append(decode(line))
        except ValueError:  # of a newer version
            continue
    return found


def _run(folder: RunFolder, start: RunStart, losses: _Losses) -> RunResult:
    part = folder.part(start.run)
    return RunResult(
        number=start.run,
        name=start.name,
        steps=max(0, losses.step - start.first_step),
        first_loss=losses.first,
        last_loss=losses.last,
        fine_tuned=part.fine_tuned if part.fine_tuned.is_dir() else None,
        merged=part.merged if part.merged.is_dir() else None,
    )


def _forgetting(known: dict[tuple[str, int], Forgetting]) -> ForgettingResult | None:
    if not known:
        return None
    scores: dict[str, tuple[tuple[Score, ...], ...]] = {}
    summaries: dict[str, dict[str, Summary]] = {}
    for arm in dict.fromkeys(name for name, _ in known):
        after = [event for (name, run), event in sorted(known.items()) if name == arm and run]
        for state in _STATES if not arm else _STATES[:1]:
            name = arm or state
            scores[name] = tuple(tuple(getattr(event, state)) for event in after)
            if after and state in after[-1].summaries:
                summaries[name] = after[-1].summaries[state]
    before = known.get(("", 0))
    return ForgettingResult(
        slices=tuple(next(iter(known.values())).slices),
        before=tuple(before.merged) if before is not None else (),
        scores=scores,
        summaries=summaries,
    )
