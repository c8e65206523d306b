"""Two runs side by side: settings, data, curves, scores, speed and memory."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from trainer_core.errors import UserError
from trainer_core.history.facts import FORMAT, Fact, PredictionFacts, RunFacts, Setting
from trainer_core.history.measured import Points, read_points
from trainer_core.reading import json_object
from trainer_core.runs.curves import score_curve
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.answers import SCORES, fitting
from trainer_core.scoring.compare import PERPLEXITY, compare, scores_by_name
from trainer_core.scoring.perplexity import compare_perplexity, known_of

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
    """Folders of predictions in which both answered the same prompts, so many of them, and how
    each chose its tokens (max_tokens, temperature, top_p, seed)."""

    a: str
    b: str
    rows: int
    sampling_a: dict[str, Any] = {}
    sampling_b: dict[str, Any] = {}
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
    for name in ("loss", "eval_loss", *map(score_curve, SCORES)):
        try:
            pair = _curves(name, *(read_points(_folder(run), name) for run in (a, b)))
        except OSError as error:
            found.unread.append(f"curves/{name}: {error.strerror}")
            continue
        wanted = any if name in ("loss", "eval_loss") else all
        if wanted(last is not None for last in (pair.last_a, pair.last_b)):
            found.curves.append(pair)
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
            # A step's loss is that of its few rows; a validation's is of all of them, and a score's
            # of the same ones each time.
            first = before + 1 if name == "loss" else place
            values.append(float(np.mean(curve.values[at[first : place + 1]])))
            before = place
    return pair


def _answers(a: RunFacts, b: RunFacts) -> AnswersPair | None:
    """The newest folders with the most prompts in common."""
    ours, theirs = _asked(a), _asked(b)
    pairs = [(len(ours[one] & theirs[other]), one, other) for one in ours for other in theirs]
    rows, place, other = max(reversed(pairs), key=lambda pair: pair[0], default=(0, "", ""))
    if not rows:
        return None
    common = ours[place] & theirs[other]
    of_a, of_b = _lines(a, place, common), _lines(b, other, common)
    expected = [line["expected"] for line in of_a.values()]
    found = compare(
        scores_by_name(_known(fitting(expected), a, place)),
        expected,
        [of_b[mark]["answer"] for mark in of_a],
        [line["answer"] for line in of_a.values()],
    )
    known = [(known_of(of_b[mark]), known_of(line)) for mark, line in of_a.items()]
    both = [(one, beside) for one, beside in known if one is not None and beside is not None]
    if both:
        found[PERPLEXITY] = compare_perplexity(*zip(*both, strict=True))
    return AnswersPair(
        a=place,
        b=other,
        rows=len(common),
        sampling_a=_job(a, place).sampling,
        sampling_b=_job(b, other).sampling,
        scores=[
            ScorePair(name=name, a=one.other, b=one.value, difference=one.difference)
            for name, one in found.items()
            if one.other is not None and one.difference is not None
        ],
    )


def _known(names: list[str], run: RunFacts, place: str) -> list[str]:
    """Those that were computed of the answers then: some need a library that may not be here."""
    return [name for name in names if name in _job(run, place).scores]


def _job(run: RunFacts, place: str) -> PredictionFacts:
    return next(one for one in run.predictions if one.place == place)


def _asked(run: RunFacts) -> dict[str, set[bytes]]:
    """What was trained was asked, not its base: by folder the marks of the prompts. There may be
    many folders, and each may be large."""
    jobs = [one.place for one in run.predictions if not one.base and one.state == "finished"]
    return {place: {mark for mark, _ in _answered(run, place)} for place in jobs}


def _lines(run: RunFacts, place: str, wanted: Set[bytes]) -> dict[bytes, Mapping[str, Any]]:
    """The lines of these marks, in the order of the file."""
    return {mark: line for mark, line in _answered(run, place) if mark in wanted}


def _answered(run: RunFacts, place: str) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    """The lines whose answer is expected, each with a mark of what was asked and is expected."""
    for line, _ in read_lines(RunFolder(_folder(run).path / place).predictions_file):
        try:
            one = json_object(line, place)
        except UserError:
            continue
        if isinstance(one.get("expected"), str) and isinstance(one.get("answer"), str):
            asked = json.dumps([one.get("prompt"), one["expected"]]).encode()
            yield hashlib.blake2b(asked, digest_size=16).digest(), one


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
