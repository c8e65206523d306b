"""A multi-run without a training: its events, and the folders that an undo works on."""

import math

from tests.tui.written_runs import WrittenRun, metrics
from trainer_core.runs.events import Finished, Stage
from trainer_core.runs.multi_run_events import (
    Forgetting,
    Merged,
    RunStart,
    Score,
    Spread,
    Summary,
)

STEPS = 20


def train_all(
    run: WrittenRun, names: list[str], done: int, *, layers: int = 4, arms: tuple[str, ...] = ()
) -> None:
    """Record the first `done` runs on shards of those `names`, each merged by SLAO and scored, and
    the baselines."""
    count, total = len(names), len(names) * STEPS * (1 + len(arms))
    run.say(scores(0, names))
    for number in range(1, done + 1):
        begin(run, names, number)
        steps(run, (number - 1) * STEPS, STEPS, total)
        end(run, names, number, layers=layers)
    first = count * STEPS
    for arm in arms:
        runs = [(1, count * STEPS)] if arm == "joint" else [(n + 1, STEPS) for n in range(count)]
        for number, length in runs:
            name = "all rows, mixed" if arm == "joint" else names[number - 1]
            run.say(start(number, len(runs), name, first, length, arm))
            steps(run, first, length, total)
            first += length
            run.say(merged(number, "none", arm=arm), scores(number, names, arm))


def begin(run: WrittenRun, names: list[str], number: int) -> None:
    """Record the beginning of a run of the multi-run itself."""
    name, of, first = names[number - 1], len(names), (number - 1) * STEPS
    run.say(start(number, of, name, first, STEPS), Stage(stage="training", detail=f"run {number}"))


def end(run: WrittenRun, names: list[str], number: int, *, layers: int = 4) -> None:
    """Record its merge and its scores, and leave the folders that it leaves."""
    drift = {str(layer): 0.1 + 0.3 * layer / layers for layer in range(layers)}
    run.say(merged(number, "slao", drift if number > 1 else {}), scores(number, names))
    part = run.folder.part(number)
    part.merged.mkdir(parents=True)
    (part.merged / "adapter_config.json").write_text("{}")
    (part.merged / "weights").write_text(f"merged {number}")
    part.done.write_text(f'{{"general_loss": {4 - number / 10}}}')


def finish(run: WrittenRun) -> None:
    """Record that the run is over, and let go of it."""
    run.say(Finished(outcome="finished", step=1, elapsed=65.0, saved="adapter/last"))
    run.show("finished")
    run.let_go()


def start(number: int, of: int, name: str, first: int, length: int, arm: str = "") -> RunStart:
    """What a run says when it begins."""
    return RunStart(
        **{"arm": arm, "run": number, "of": of, "name": name, "first_step": first},
        **{"steps": length, "rows": 90, "learning_rate": 2e-4},
    )


def steps(run: WrittenRun, first: int, count: int, total: int) -> None:
    """Record so many steps after `first`: a loss that falls within each run."""
    for step in range(1, count + 1):
        event = metrics(first + step, 1 + 2 * math.exp(-step / 8))
        run.say(event.model_copy(update={"total_steps": total}))


def merged(number: int, merge: str, drift: dict[str, float] | None = None, arm: str = "") -> Merged:
    """What a run says when it is merged."""
    return Merged(arm=arm, run=number, merge=merge, path=f"run-{number:02d}", drift=drift or {})


def scores(number: int, names: list[str], arm: str = "") -> Forgetting:
    """Each slice at 3 nats before its run and 1 just after it; then 0.1 more are forgotten by each
    run that is merged, and 0.4 by each that is not. The general slice gets better by 0.1 a run."""
    plain = [_loss(number, place, 0.4, arm) for place in range(1, len(names) + 1)]
    kept = [_loss(number, place, 0.1, arm) for place in range(1, len(names) + 1)]
    general = 4.0 - number / 10
    return Forgetting(
        arm=arm,
        run=number,
        of=1 if arm == "joint" else len(names),
        slices=[*names, "general"],
        merged=[_score(loss) for loss in [*(plain if arm else kept), general]],
        fine_tuned=[_score(loss) for loss in [*plain, general]],
        summaries=_summaries(number, 0.4 if arm else 0.1, arm) if number else {},
        perplexity_ratio=_ratio(number, 0.4 if arm else 0.1, arm),
    )


def _loss(number: int, place: int, forgets: float, arm: str) -> float:
    if arm == "joint":
        return 1.1 if number else 3.0
    return 3.0 if number < place else 1.0 + forgets * (number - place)


def _score(loss: float) -> Score:
    return Score(loss=loss, accuracy=1 / (1 + loss))


def _summaries(number: int, forgets: float, arm: str) -> dict[str, dict[str, Summary]]:
    def summary(forgotten: float) -> dict[str, Summary]:
        loss, accuracy = {"average": _spread(1.0 + forgotten)}, {"average": _spread(0.4)}
        if number > 1 and arm != "joint":
            for known in (loss, accuracy):
                known |= {"backward": _spread(-forgotten), "forgetting": _spread(forgotten)}
        return {"loss": Summary(**loss), "accuracy": Summary(**accuracy)}

    return {"merged": summary(forgets), "fine_tuned": summary(0.4)}


def _spread(value: float) -> Spread:
    return Spread(value=value, low=value - 0.06, high=value + 0.07)


def _ratio(number: int, forgets: float, arm: str) -> float | None:
    return math.exp(forgets * (number - 1)) if number > 1 and arm != "joint" else None
