"""What a replay keeps of a run, and what is planned anew for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.history.written import DEMO, entry_of, finished
from tests.tui.written_runs import WrittenRun
from trainer_core.config.load import LoadedConfig, load_config
from trainer_core.errors import UserError
from trainer_core.hardware.facts import machine_facts
from trainer_core.history.replay import Replay, as_replayed, read_replay, write_replay
from trainer_core.history.replaying import replay_of
from trainer_core.planning.draft import draft
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import read_resolved, write_resolved
from trainer_core.tokens.look import look
from trainer_core.tokens.statistics import data_stats


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The demo's rows are tokenised once for all of these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def run(tmp_path: Path) -> WrittenRun:
    """A run for which another machine planned otherwise than this one would."""
    run = finished(tmp_path / "run", "one", "training.steps=200", "run.folder=run")
    resolved = read_resolved(run.folder.resolved)
    assert resolved is not None
    elsewhere: dict[str, Any] = {
        "model.dtype": "bfloat16", "training.precision": "bfloat16",
        "training.batch_size": 8, "training.effective_batch": 8,
        "training.gradient_accumulation": 1, "training.learning_rate": 0.0123,
        "training.optimizer": "sgd", "training.scheduler": "cosine",
    }  # fmt: skip
    for name, value in elsewhere.items():
        section, _, field = name.partition(".")
        getattr(resolved.config, section).__dict__[field] = value
    write_resolved(run.folder.resolved, resolved)
    return run


def plan_of(loaded: LoadedConfig) -> ResolvedRun:
    stats = data_stats(look(loaded.config), loaded.config)
    found = draft(loaded, machine_facts(), stats)
    assert found.run is not None, found.problem
    return found.run


def replayed(run: WrittenRun, *overrides: str) -> tuple[dict[str, Any], Replay, ResolvedRun]:
    loaded, replay = replay_of(entry_of(run), overrides)
    planned = plan_of(loaded)
    return planned.values(), replay, planned


def values_of(run: WrittenRun) -> dict[str, Any]:
    resolved = read_resolved(run.folder.resolved)
    assert resolved is not None
    return resolved.values()


def test_everything_is_as_it_was(run: WrittenRun) -> None:
    values, replay, planned = replayed(run)
    assert values == {**values_of(run), "run.folder": None}
    assert replay.anew == []
    before = read_resolved(run.folder.resolved)
    assert before is not None
    for name, origin in before.origins.items():
        if name not in ("run.folder", "training.epochs"):
            assert planned.origins[name].origin == origin.origin, name
    assert planned.origins["training.optimizer"].why.endswith(", as in one")


def test_another_rate_changes_the_rate_alone(run: WrittenRun) -> None:
    values, replay, _ = replayed(run, "training.learning_rate=0.5")
    before = {**values_of(run), "run.folder": None}
    assert {n for n in values if values[n] != before[n]} == {"training.learning_rate"}
    assert replay.anew == []


def test_fewer_steps_bring_their_own_intervals(run: WrittenRun) -> None:
    values, replay, planned = replayed(run, "training.steps=20")
    assert planned.total_steps == 20
    assert values["training.eval_steps"] == 2
    assert values["training.warmup_steps"] == 1
    assert {"training.eval_steps", "training.save_steps", "training.warmup_steps"} <= {*replay.anew}
    assert values["training.optimizer"] == "sgd"
    assert values["model.dtype"] == "bfloat16"


def test_epochs_take_the_place_of_steps(run: WrittenRun) -> None:
    _, _, planned = replayed(run, "training.epochs=1")
    assert planned.total_steps == planned_steps(planned)
    assert planned.epochs == pytest.approx(1, abs=0.05)


def planned_steps(planned: ResolvedRun) -> int:
    return int(planned.config.training.steps)


def test_a_batch_still_adds_up(run: WrittenRun) -> None:
    for override in ("batch_size=4", "batch_size=5", "gradient_accumulation=4",
                     "effective_batch=64"):  # fmt: skip
        values, _, _ = replayed(run, f"training.{override}")
        batch, accumulation, effective = (
            values[f"training.{name}"]
            for name in ("batch_size", "gradient_accumulation", "effective_batch")
        )
        assert batch * accumulation == effective, override
        name, _, value = override.partition("=")
        assert values[f"training.{name}"] == int(value)


def test_a_batch_in_examples_unpacks_what_was_packed(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", "one", "training.steps=200")
    data = {"data.train": f"{DEMO}/train.jsonl", "model.base": f"{DEMO}/base"}
    exact = plan_of(load_config(None, ["training.steps=200"], data))
    write_resolved(run.folder.resolved, exact)
    assert (exact.config.training.packing, exact.config.model.max_length) == ("pack", 512)
    values, replay, _ = replayed(run, "training.batch_size=4")
    assert (values["training.packing"], values["model.max_length"]) == ("off", 64)
    assert {"training.packing", "model.max_length"} <= {*replay.anew}


def test_auto_plans_a_value_anew(run: WrittenRun) -> None:
    values, replay, planned = replayed(run, "training.optimizer=auto")
    assert values["training.optimizer"] != "sgd"
    assert "as in" not in planned.origins["training.optimizer"].why
    assert replay.anew == ["training.optimizer"]


def test_what_does_not_go_together_is_said(run: WrittenRun) -> None:
    with pytest.raises(UserError, match="not a known field"):
        replay_of(entry_of(run), ["training.stepps=1"])
    with pytest.raises(UserError, match="either steps or epochs"):
        replay_of(entry_of(run), ["training.steps=3", "training.epochs=3"])


def test_data_that_is_gone_can_be_named_anew(run: WrittenRun, tmp_path: Path) -> None:
    resolved = read_resolved(run.folder.resolved)
    assert resolved is not None
    resolved.given["data"]["train"] = str(tmp_path / "gone.jsonl")
    write_resolved(run.folder.resolved, resolved)
    values, _, _ = replayed(run, f"data.train={DEMO}/train.jsonl")
    assert values["training.optimizer"] == "sgd"
    assert values["data.train"][0]["path"] == f"{DEMO}/train.jsonl"


def test_a_run_that_never_came_to_a_plan(run: WrittenRun) -> None:
    run.folder.resolved.unlink()
    run.folder.config.write_text(
        f"model: {{base: {DEMO}/base}}\ndata: {{train: {DEMO}/train.jsonl}}"
    )
    loaded, replay = replay_of(entry_of(run))
    assert replay.values == {}
    assert loaded.config.training.steps == "auto"
    run.folder.config.unlink()
    with pytest.raises(UserError, match=r"no config\.yaml"):
        replay_of(entry_of(run))


def test_the_job_keeps_what_was_kept(run: WrittenRun, tmp_path: Path) -> None:
    loaded, replay = replay_of(entry_of(run))
    new = finished(tmp_path / "new", "new").folder
    assert read_replay(new) is None
    assert as_replayed(new, loaded) is loaded
    write_replay(new, replay)
    assert read_replay(new) == replay
    plain = plan_of(replay_of(entry_of(run))[0]).values()
    assert plan_of(as_replayed(new, loaded)).values() == plain
    new.warm.touch()  # a warm resume goes on with what its config says
    assert as_replayed(new, loaded) is loaded
    new.replay.write_text("{")
    with pytest.raises(UserError, match=r"replay\.json: it cannot be read"):
        read_replay(new)
