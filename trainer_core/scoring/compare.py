"""Two models' answers to the same prompts, side by side."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from trainer_core.errors import UserError
from trainer_core.runs.multi_run_events import Spread
from trainer_core.scoring.answers import SCORES, Score
from trainer_core.scoring.bootstrap import mean
from trainer_core.text import one_line, one_of

# e to the mean nats of a trained token (scoring/perplexity.py); of all scores alone it comes from
# the model and not from its answers.
PERPLEXITY = "perplexity"
# Up to a tenth of all rows may be otherwise than this many that are the same.
FEW_ROWS = 30
_CONDITIONS = "Write a score, score>=0.8 or perplexity<=3."


@dataclass(frozen=True)
class Compared:
    """One score: of the answers, of the others' and of the difference, row by row: each the mean
    with its 95 % interval. `other` and `difference` are None where there is nobody else."""

    value: Spread
    other: Spread | None = None
    difference: Spread | None = None


@dataclass(frozen=True)
class Gate:
    """A condition on one score: at least `limit`, or at most where lower is better; without it, no
    worse than the other's."""

    score: str
    limit: float | None = None

    @property
    def lower_is_better(self) -> bool:
        """Of perplexity alone."""
        return self.score == PERPLEXITY

    def judge(self, found: Compared, rows: int) -> tuple[bool, str]:
        """Whether it is passed, and a sentence where it is not or where the rows are too few to
        tell."""
        spread, limit = found.value, self.limit
        if limit is None:
            if found.difference is None:
                return False, f"{self.score} has nothing to be compared with"
            spread, limit = found.difference, 0.0
            failed = spread.low > 0 if self.lower_is_better else spread.high < 0
            sentence = f"{self.score} is worse by {abs(spread.value):.3f}"
        else:
            failed = spread.value > limit if self.lower_is_better else spread.value < limit
            than = "more" if self.lower_is_better else "less"
            sentence = f"{self.score} is {spread.value:.3f}, {than} than {limit:g}"
        doubt = f"{rows:,} rows are too few to be sure" if leaves_open(spread, limit, rows) else ""
        if failed:
            return False, f"{sentence}; {doubt}" if doubt else sentence
        if not doubt:
            return True, ""
        between = f"it lies between {spread.low:+.3f} and {spread.high:+.3f}"
        if spread.low == spread.high:
            between = f"each gave {spread.value:+.3f}"
        return True, f"{doubt} of {self.score}: {between}"


def leaves_open(spread: Spread, limit: float, rows: int) -> bool:
    """Whether so many rows cannot tell on which side of `limit` the truth lies. Where they all gave
    the same, drawing them again shows no width: three in `rows` may still be otherwise (the rule of
    three; Hanley & Lippman-Hand 1983)."""
    if spread.low == spread.high:
        return rows < FEW_ROWS
    return spread.low <= limit <= spread.high


def gate_of(text: str) -> Gate:
    """`exact`, or `exact>=0.8`, or `perplexity<=3`. Raises UserError."""
    name, sign, limit = text.replace(" ", "").partition("<=" if "<=" in text else ">=")
    try:
        gate = Gate(name, float(limit) if sign else None)
    except ValueError:
        raise UserError(f"the gate {text} is no condition", hint=_CONDITIONS) from None
    if sign and (sign == "<=") is not gate.lower_is_better:
        better = "lower" if gate.lower_is_better else "higher"
        raise UserError(f"the gate {text} is upside down: {better} is better", hint=_CONDITIONS)
    return gate


def scores_by_name(
    names: Sequence[str], pattern: str | None = None, function: str | None = None
) -> dict[str, Score]:
    """The scores that are asked for: those in `names`; `regex`, whether a pattern is found in the
    answer; and a person's own function, FILE.py:NAME, of an answer and what was expected. Raises
    UserError."""
    for name in names:
        if name not in SCORES:
            raise UserError(
                f"no score is called {name}", hint=f"There are {one_of([*SCORES, PERPLEXITY])}."
            )
    found: dict[str, Score] = {name: SCORES[name] for name in names}
    if pattern is not None:
        found["regex"] = _matching(pattern)
    if function is not None:
        name, own = _own(function)
        found[name] = own
    return found


def compare(
    scores: Mapping[str, Score],
    expected: Sequence[str],
    answers: Sequence[str],
    others: Sequence[str] | None = None,
) -> dict[str, Compared]:
    """Each score of the answers, and of the others' to the same prompts: the interval of their
    difference is that of a paired bootstrap. Raises UserError where a person's own function
    fails."""
    found = {}
    for name, score in scores.items():
        ours = _values(name, score, answers, expected)
        if others is None:
            found[name] = Compared(mean(ours))
        else:
            theirs = _values(name, score, others, expected)
            found[name] = Compared(mean(ours), mean(theirs), mean(ours - theirs))
    return found


def _values(
    name: str, score: Score, answers: Sequence[str], expected: Sequence[str]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    try:
        values = np.array(
            [float(score(a, e)) for a, e in zip(answers, expected, strict=True)], dtype=np.float64
        )
    except Exception as error:  # of a person's own function: of any kind
        reason = one_line(f"{type(error).__name__}: {error}", limit=200)
        raise UserError(f"the score {name} failed: {reason}") from None
    if not np.isfinite(values).all():
        raise UserError(f"the score {name} failed: for an answer it gave what is no number")
    return values


def _matching(pattern: str) -> Score:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"{pattern} is no regular expression: {error}") from None
    return lambda answer, _: float(compiled.search(answer) is not None)


def _own(where: str) -> tuple[str, Score]:
    path, _, name = where.rpartition(":")
    hint = "Write FILE.py:NAME, a function of an answer and what was expected."
    if not path or not Path(path).is_file():
        raise UserError(f"{where} names no function in a file", hint=hint)
    found = getattr(_module(Path(path)), name, None)
    if not callable(found):
        raise UserError(f"{path} has no function {name}", hint=hint)
    return name, found


def _module(path: Path) -> ModuleType:
    """A person's own file, run."""
    spec = importlib.util.spec_from_file_location(f"backprop_score_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}", limit=200)
        raise UserError(f"{path} cannot be run: {reason}") from None
    return module
