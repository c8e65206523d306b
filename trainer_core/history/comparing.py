"""Two runs side by side: settings, data, curves, scores, speed and memory."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainer_core.errors import UserError
from trainer_core.history.facts import FORMAT, Fact, RunFacts, Setting
from trainer_core.history.measured import Points, read_points
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.answers import fitting
from trainer_core.scoring.compare import compare, scores_by_name

# Where curves are compared.
PLACES = 5
# Settings that say where a run lies and not what it does.
_NAMES = ("run.name", "run.folder", "run.resume")


class SettingPair(Fact):
    """A setting of both; None where a run has none."""

    name: str
    a: Setting | None = None
    b: Setting | None = None
    same: bool


class MaterialPair(Fact):
    """The examples of a split, or the base model's files: `same` is None where it is not known."""

    name: str
    a: int | None = None
    b: int | None = None
    same: bool | None = None


class CurvePair(Fact):
    """A curve at common steps: the mean of what lies between each place and the one before (of
    validations the value itself), then the ends. `identical` counts the first common steps whose
    values are the same to the last bit, of `common`."""

    name: str
    steps: list[int] = []
    a: list[float] = []
    b: list[float] = []
    last_a: float | None = None
    last_b: float | None = None
    identical: int = 0
    common: int = 0


class ScorePair(Fact):
    """A score of both on the same prompts; `difference` is B - A, by a paired bootstrap."""

    name: str
    a: Spread
    b: Spread
    difference: Spread


class AnswersPair(Fact):
    """Folders of predictions in which both answered the same prompts, so many of them."""

    a: str
    b: str
    rows: int
    scores: list[ScorePair] = []


class Measure(Fact):
    """A number of both. `unit`: seconds, bytes, tokens a second, tokens, steps or nats."""

    name: str
    unit: str
    a: float | None = None
    b: float | None = None


class Comparison(Fact):
    """Run A beside run B."""

    format: int = FORMAT
    a: str
    b: str
    settings: list[SettingPair] = []
    material: list[MaterialPair] = []
    curves: list[CurvePair] = []
    answers: AnswersPair | None = None
    measures: list[Measure] = []
    unread: list[str] = []


def compare_runs(a: RunFacts, b: RunFacts) -> Comparison:
    """Everything that two runs can be compared by."""
    found = Comparison(a=a.id, b=b.id, unread=[f"{r.id}: {x}" for r in (a, b) for x in r.unread])
    found.settings = _settings(a, b)
    found.material = _material(a, b)
    for name in ("loss", "eval_loss"):
        try:
            pair = _curves(name, *(read_points(_folder(run), name) for run in (a, b)))
        except OSError as error:
            found.unread.append(f"curves/{name}: {error.strerror}")
            continue
        found.curves += [pair] if pair.last_a is not None or pair.last_b is not None else []
    try:
        found.answers = _answers(a, b)
    except (OSError, UserError) as error:
        found.unread.append(f"answers: {error}")
    found.measures = _measures(a, b)
    return found


def _settings(a: RunFacts, b: RunFacts) -> list[SettingPair]:
    of_a, of_b = _flat(a), _flat(b)
    pairs = []
    for name in dict.fromkeys([*of_a, *of_b]):
        if name in _NAMES:
            continue
        ours, theirs = of_a.get(name), of_b.get(name)
        same = ours is not None and theirs is not None and ours.value == theirs.value
        pairs.append(SettingPair(name=name, a=ours, b=theirs, same=same))
    return pairs


def _flat(run: RunFacts) -> dict[str, Setting]:
    """Each setting; of one that is a mapping each part."""
    found: dict[str, Setting] = {}
    for name, setting in run.settings.items():
        parts = setting.value if isinstance(setting.value, dict) else {}
        found |= {
            f"{name}.{key}": setting.model_copy(update={"value": parts[key]}) for key in parts
        }
        if not parts:
            found[name] = setting
    return found


def _material(a: RunFacts, b: RunFacts) -> list[MaterialPair]:
    pairs = []
    for split in dict.fromkeys([*a.material, *b.material]):
        ours, theirs = a.material.get(split), b.material.get(split)
        known = ours is not None and theirs is not None
        pairs.append(
            MaterialPair(
                name=split,
                a=ours.rows if ours else None,
                b=theirs.rows if theirs else None,
                same=ours == theirs if known else None,
            )
        )
    same_base = a.base == b.base if a.base and b.base else None
    return [*pairs, MaterialPair(name="base model", same=same_base)]


def _curves(name: str, a: Points, b: Points) -> CurvePair:
    common, at_a, at_b = np.intersect1d(a.steps, b.steps, return_indices=True)
    same = a.values[at_a] == b.values[at_b]
    pair = CurvePair(
        name=name,
        last_a=float(a.values[-1]) if len(a.values) else None,
        last_b=float(b.values[-1]) if len(b.values) else None,
        identical=len(same) if same.all() else int(np.argmin(same)),
        common=len(common),
    )
    count = min(PLACES, len(common))
    places = [round((n + 1) * len(common) / count) - 1 for n in range(count)]
    pair.steps = [int(common[place]) for place in places]
    for curve, at, values in ((a, at_a, pair.a), (b, at_b, pair.b)):
        before = -1
        for place in places:
            # A step's loss is that of its few rows; a validation's is of all of them.
            first = place if name == "eval_loss" else before + 1
            values.append(float(np.mean(curve.values[at[first : place + 1]])))
            before = place
    return pair


def _answers(a: RunFacts, b: RunFacts) -> AnswersPair | None:
    """The newest folders with the most prompts in common."""
    ours, theirs = _answered(a), _answered(b)
    best: tuple[str, str, list[str]] | None = None
    for place, lines in ours.items():
        for other, others in theirs.items():
            common = [prompt for prompt in lines if prompt in others]
            if common and (best is None or len(common) >= len(best[2])):
                best = place, other, common
    if best is None:
        return None
    place, other, common = best
    expected = [ours[place][prompt]["expected"] for prompt in common]
    found = compare(
        scores_by_name(_known(fitting(expected), a, place)),
        expected,
        [theirs[other][prompt]["answer"] for prompt in common],
        [ours[place][prompt]["answer"] for prompt in common],
    )
    return AnswersPair(
        a=place,
        b=other,
        rows=len(common),
        scores=[
            ScorePair(name=name, a=one.other, b=one.value, difference=one.difference)
            for name, one in found.items()
            if one.other is not None and one.difference is not None
        ],
    )


def _known(names: list[str], run: RunFacts, place: str) -> list[str]:
    """Those that were computed of the answers then: some need a library that may not be here."""
    scored = next((one.scores for one in run.predictions if one.place == place), {})
    return [name for name in names if name in scored]


def _answered(run: RunFacts) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Of what was trained, not of its base: by folder the lines whose answer is expected, by what
    was asked."""
    found = {}
    for job in run.predictions:
        if job.base or job.state != "finished":
            continue
        lines: dict[str, Mapping[str, Any]] = {}
        for line, _ in read_lines(RunFolder(_folder(run).path / job.place).predictions_file):
            try:
                one = json.loads(line)
                if isinstance(one["expected"], str) and isinstance(one["answer"], str):
                    lines[json.dumps([one["prompt"], one["expected"]])] = one
            except (ValueError, KeyError, TypeError):
                continue
        found[job.place] = lines
    return found


def _measures(a: RunFacts, b: RunFacts) -> list[Measure]:
    rows = [
        ("steps", "steps", a.step, b.step),
        ("tokens", "tokens", a.tokens, b.tokens),
        ("time", "seconds", a.seconds, b.seconds),
        ("speed", "tokens a second", a.tokens_per_second, b.tokens_per_second),
        ("peak memory", "bytes", a.memory.peak, b.memory.peak),
        ("best validation loss", "nats", *(r.eval_loss and r.eval_loss.best for r in (a, b))),
        ("forgotten", "nats", *(r.forgetting and r.forgetting.value for r in (a, b))),
    ]
    return [
        Measure(name=name, unit=unit, a=ours, b=theirs)
        for name, unit, ours, theirs in rows
        if ours is not None or theirs is not None
    ]


def _folder(run: RunFacts) -> RunFolder:
    return RunFolder(Path(run.path))
