"""The slices of a multi-run: scored after each run, kept in its folder, summed up."""

import json
from typing import Any

from trainer_core.engine.scores import score_examples
from trainer_core.engine.session import Session
from trainer_core.files import write_atomically
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.multi_run_events import Forgetting, Summary
from trainer_core.scoring.forgetting import perplexity_ratio, summarise
from trainer_core.scoring.slices import SliceScores
from trainer_core.tokens.shards import GENERAL

_FILE = "scores.json"
STATES = ("merged", "fine_tuned")
Scores = dict[str, SliceScores]


class Slices:
    """The held-out rows of each shard by its name, and the general slice last. False where nothing
    is measured."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._examples = session.ready.slices

    def __bool__(self) -> bool:
        return bool(self._examples)

    def score(self, model: Any) -> Scores:
        """Every slice as `model` knows it. Raises StoppedError if the user ends it meanwhile."""
        session = self._session
        return {
            name: score_examples(
                model,
                rows,
                session.ready.encoder.tokenizer.pad_id,
                int(session.config.training.batch_size),
                session.control,
            )
            for name, rows in self._examples.items()
        }

    def write(self, part: RunFolder, merged: Scores, fine_tuned: Scores) -> None:
        """Keep what was scored after a run."""
        pairs = zip(STATES, (merged, fine_tuned), strict=True)
        data = {
            state: {name: score.to_json() for name, score in scores.items()}
            for state, scores in pairs
        }
        part.path.mkdir(parents=True, exist_ok=True)
        write_atomically(part.path / _FILE, json.dumps(data).encode(), durable=True)

    def has(self, part: RunFolder) -> bool:
        """Whether a run was scored."""
        return (part.path / _FILE).is_file()

    def event(self, folder: RunFolder, number: int, of: int, arm: str = "") -> Forgetting:
        """What is known after run `number` of the runs in `folder`, and what that means."""
        rows = [_read(folder.part(run)) for run in range(1, number + 1)]
        now = rows[-1] if rows else _read(folder.part(0))
        shards = [name for name in self._examples if name != GENERAL]
        whole = arm == "joint"  # it saw everything at once: every slice counts, nothing is before
        summaries: dict[str, dict[str, Summary]] = {}
        for state in STATES:
            known = [[row[state][name] for name in shards] for row in rows]
            if known and shards:
                known = known * len(shards) if whole else known
                summaries[state] = {
                    "loss": _summary(known, "loss", whole=whole),
                    "accuracy": _summary(known, "accuracy", whole=whole),
                }
        merged = [[row["merged"][name] for name in shards] for row in rows]
        return Forgetting(
            arm=arm,
            run=number,
            of=of,
            slices=list(self._examples),
            merged=[now["merged"][name].score for name in self._examples],
            fine_tuned=[now["fine_tuned"][name].score for name in self._examples],
            summaries=summaries,
            perplexity_ratio=perplexity_ratio(merged) if merged and not whole else None,
        )

    def general_loss(self, part: RunFolder) -> float | None:
        """The loss of the general slice after a run, merged; None where it is not measured."""
        if GENERAL not in self._examples:
            return None
        return _read(part)["merged"][GENERAL].score.loss


def _read(part: RunFolder) -> dict[str, Scores]:
    data = json.loads((part.path / _FILE).read_text(encoding="utf-8"))
    return {
        state: {name: SliceScores.from_json(score) for name, score in data[state].items()}
        for state in STATES
    }


def _summary(known: list[list[SliceScores]], measure: Any, *, whole: bool) -> Summary:
    found = summarise(known, measure)
    none = {"backward": None, "forgetting": None}
    return found.model_copy(update=none) if whole else found
