"""A multi-run on the demo model: what each run begins with, what is merged, scored, shipped; and
that dying at any moment changes nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.trainings import Killed
from tests.engine.trainings import Training as OneTraining
from trainer_core.config.load import load_config
from trainer_core.runs.control import Control
from trainer_core.runs.events import Event

torch = pytest.importorskip("torch")


SETTINGS: dict[str, Any] = {
    "multi_run.runs": 3,
    "multi_run.eval_rows": 4,
    "multi_run.replay": 0.2,
}


class Training(OneTraining):
    """A training of three runs; `more.jsonl` has 40 rows besides."""

    def __init__(self, folder: Path, demo: Path, **settings: Any) -> None:
        super().__init__(folder, demo, **(SETTINGS | settings))
        lines = (demo / "train.jsonl").read_text().splitlines()
        (folder.parent / "more.jsonl").write_text("\n".join(lines[200:240]) + "\n")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, demo: Path, cache: None) -> Training:
    training = Training(tmp_path_factory.mktemp("whole") / "run", demo)
    assert training.go().outcome == "finished"
    return training


def test_the_runs_follow_one_another_in_one_count_of_steps(whole: Training) -> None:
    steps = [(event.run, event.step, event.total_steps) for event in whole.of("metrics")]
    assert steps == [(1 + n // 4, n + 1, 12) for n in range(12)]
    runs = [(r.run, r.of, r.name, r.first_step, r.steps) for r in whole.of("run")]
    assert runs == [(n, 3, f"shard {n}", 4 * (n - 1), 4) for n in (1, 2, 3)]
    assert [r.replayed > 0 for r in whole.of("run")] == [False, True, True]
    tokens = [event.tokens for event in whole.of("metrics")]
    assert tokens == sorted(set(tokens))
    assert [event.path for event in whole.of("checkpoint") if event.run == 2] == [
        "run-02/checkpoints/step-2",
        "run-02/checkpoints/step-4",
    ]


def test_a_run_starts_from_the_last_fine_tuned_made_orthogonal(whole: Training) -> None:
    before, merged = whole.weights("run-01/adapter/fine-tuned"), None
    rate = whole.of("metrics")[4].values["learning_rate"]
    after, merged = (
        whole.weights("run-02/adapter/fine-tuned"),
        whole.weights("run-02/adapter/merged"),
    )
    for name, a in after.items():
        if ".lora_A." not in name:
            continue
        identity = torch.eye(len(a))
        # Four small steps away from A Aᵀ = I, which what was trained before is not near to.
        assert torch.allclose(a @ a.T, identity, atol=0.2 + 20 * rate)
        assert not torch.allclose(before[name] @ before[name].T, identity, atol=0.5)
        assert torch.equal(merged[name], a)


def test_b_is_a_running_average_and_what_ships_is_merged(whole: Training) -> None:
    first = whole.weights("run-01/adapter/merged")
    assert whole.digest("run-01/adapter/merged") == whole.digest("run-01/adapter/fine-tuned")
    fine_tuned = whole.weights("run-02/adapter/fine-tuned")
    for name, merged in whole.weights("run-02/adapter/merged").items():
        if ".lora_B." in name:
            share = 1 / 2**0.5
            assert torch.allclose(merged, (1 - share) * first[name] + share * fine_tuned[name])
    assert whole.digest() == whole.digest("run-03/adapter/merged")
    drift = [event.drift for event in whole.of("merged")]
    assert drift[0] == {}
    assert all(value > 0 for value in drift[1].values())
    assert not list(whole.folder.path.glob("run-*/checkpoints"))


def test_every_slice_is_scored_after_each_run_for_both_adapters(whole: Training) -> None:
    scored = whole.of("forgetting")
    assert [event.run for event in scored] == [0, 1, 2, 3]
    assert scored[0].slices == ["shard 1", "shard 2", "shard 3", "general"]
    assert scored[0].summaries == {}
    assert scored[-1].merged != scored[-1].fine_tuned
    summary = scored[-1].summaries["merged"]["loss"]
    mean = sum(score.loss for score in scored[-1].merged[:3]) / 3
    assert summary.average.value == pytest.approx(mean)
    assert summary.forgetting is not None
    general = [event.merged[-1].loss for event in scored[1:]]
    best = 1 + general.index(min(general))
    assert whole.digest("adapter/best") == whole.digest(f"run-{best:02d}/adapter/merged")


def test_the_score_is_the_models_own_loss(whole: Training, demo: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from trainer_core.engine.scores import score_examples
    from trainer_core.tokens.encode_chunk import EncoderSetup
    from trainer_core.tokens.prepare import prepare

    config = load_config(whole.folder.config).config
    setup = EncoderSetup(demo / "base", None, "demo", "all")
    examples = prepare(config.data, setup, 512, 1).splits["validation"]
    base = AutoModelForCausalLM.from_pretrained(demo / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, whole.folder.path / "adapter/last").eval()
    scores = score_examples(model, examples, 0, batch_size=7)
    for number in (0, len(examples) - 1):
        example = examples[number]
        ids = torch.tensor(example.ids.tolist())[None]
        labels = torch.tensor(example.labels.tolist())[None]
        with torch.no_grad():
            loss = float(model(input_ids=ids, labels=labels).loss)
        assert scores.losses[number] / scores.tokens[number] == pytest.approx(loss, rel=1e-4)
    assert scores.tokens.sum() == examples.trained_tokens


MOMENTS: dict[str, Callable[[Event], bool]] = {
    "as a checkpoint was made": lambda e: e.type == "checkpoint" and e.run == 2,
    "before a merge": lambda e: e.type == "stage" and e.stage == "merging" and "2" in e.detail,
    "as a run was scored": lambda e: e.type == "forgetting" and e.run == 2,
    "as the next begins": lambda e: e.type == "run" and e.run == 3,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_dying_at_any_moment_ends_in_the_same_adapter(
    whole: Training, tmp_path: Path, demo: Path, moment: str
) -> None:
    training = Training(tmp_path / "run", demo)
    with pytest.raises(Killed):
        training.go(MOMENTS[moment])
    training.events.clear()
    assert training.go().outcome == "finished"
    assert training.digest() == whole.digest()
    assert training.digest("adapter/best") == whole.digest("adapter/best")
    assert training.of("forgetting")[-1].merged == whole.of("forgetting")[-1].merged
    assert training.of("metrics")[-1].tokens == whole.of("metrics")[-1].tokens
    saved = {"as a checkpoint was made": 6}
    assert training.of("plan")[0].resumed_from == saved.get(moment, 8)


def test_a_single_run_that_dies_after_its_last_step_trains_no_more(
    tmp_path: Path, demo: Path
) -> None:
    single = dict.fromkeys(("multi_run.runs", "multi_run.replay", "multi_run.eval_rows"))
    training = Training(tmp_path / "run", demo, **single)
    with pytest.raises(Killed):
        training.go(lambda e: e.type == "checkpoint" and e.step == 4)
    training.events.clear()
    ended = training.go()
    assert (ended.outcome, ended.step, training.of("metrics")) == ("finished", 4, [])


def test_a_stop_in_a_run_saves_it_and_ships_what_was_merged(tmp_path: Path, demo: Path) -> None:
    control, training = Control(), Training(tmp_path / "run", demo)

    def stop(event: Event) -> bool:
        if event.type == "metrics" and event.step == 7:
            control.ask("stop", "enough")
        return False

    ended = training.go(stop, control)
    assert (ended.outcome, ended.step) == ("stopped", 7)
    assert "with 1 of 3 runs done" in ended.message
    assert training.digest() == training.digest("run-01/adapter/merged")
    assert (training.folder.path / "run-02/checkpoints/step-3").is_dir()


def test_baselines_train_as_many_steps_on_the_same_slices(tmp_path: Path, demo: Path) -> None:
    training = Training(
        tmp_path / "run", demo,
        **{"multi_run.runs": 2, "multi_run.compare": ["sequential", "joint"]},
    )  # fmt: skip
    assert training.go().outcome == "finished"
    steps = [event.step for event in training.of("metrics")]
    assert steps == list(range(1, 25))
    assert {event.total_steps for event in training.of("metrics")} == {24}
    arms = [(event.arm, event.run, event.steps) for event in training.of("run")]
    assert arms == [("", 1, 4), ("", 2, 4), ("sequential", 1, 4), ("sequential", 2, 4),
                    ("joint", 1, 8)]  # fmt: skip
    last = {event.arm: event for event in training.of("forgetting")}
    assert last["joint"].summaries["merged"]["loss"].forgetting is None
    assert last["sequential"].merged == last["sequential"].fine_tuned
    assert last["sequential"].slices == last[""].slices
    # A baseline begins where the multi-run began.
    assert training.digest("compare/sequential/run-01/adapter/merged") == training.digest(
        "run-01/adapter/merged"
    )
    assert training.digest() == training.digest("run-02/adapter/merged")


def test_stages_have_their_own_lengths_rates_and_targets(tmp_path: Path, demo: Path) -> None:
    stages = [
        {"name": "warm", "epochs": 0.5, "learning_rate": 1e-4},
        {"name": "until", "sources": [1, 2], "steps": 40, "target_loss": 50.0},
    ]
    training = Training(
        tmp_path / "run", demo,
        **{"multi_run.runs": None, "multi_run.replay": None, "training.steps": None,
           "multi_run.stages": stages,
           "data.train": [str(tmp_path / "more.jsonl"), str(tmp_path / "rows.jsonl")]},
    )  # fmt: skip
    with pytest.raises(Killed):  # where the target is reached, and nothing merged yet
        training.go(lambda e: e.type == "stage" and e.stage == "merging" and "2" in e.detail)
    ended = training.go()
    runs = [("warm", 9), ("until", 40), ("until", 40)]
    assert [(r.name, r.steps) for r in training.of("run")] == runs
    rates = [event.values["learning_rate"] for event in training.of("metrics")]
    assert max(rates[:9]) == pytest.approx(1e-4)
    assert max(rates[9:]) > 1e-4
    # A loss of fifty is reached as soon as there are ten steps to average.
    assert ended.step == 9 + 10
    done = json.loads((training.folder.path / "run-02/done.json").read_text())
    assert done["early"] == "its loss is down to 50"
    merging = [event.detail for event in training.of("stage") if event.stage == "merging"]
    assert merging == ["run 1", *["run 2, which ended early: its loss is down to 50"] * 2]
    # Without a merge, the second goes on with what the first left.
    assert training.of("merged")[0].merge == "none"
    assert training.digest("run-02/adapter/merged") == training.digest("run-02/adapter/fine-tuned")


def test_it_ends_when_the_general_slice_gets_no_better(tmp_path: Path, demo: Path) -> None:
    training = Training(
        tmp_path / "run", demo,
        **{"multi_run.runs": 4, "multi_run.patience": 1, "training.learning_rate": 0.2},
    )  # fmt: skip
    ended = training.go()
    assert ended.outcome == "finished"
    assert "the general slice got no better" in ended.message
    general = [event.merged[-1].loss for event in training.of("forgetting")[1:]]
    assert general[-1] >= min(general[:-1])
    assert ended.step == 4 * len(general) < 16


@pytest.mark.parametrize("merge", ["none", "svd", "dare-ties"])
def test_other_merges_train_to_the_end(tmp_path: Path, demo: Path, merge: str) -> None:
    settings = {"multi_run.runs": 2, "multi_run.merge": merge, "training.steps": 2}
    training = Training(tmp_path / "run", demo, **settings)
    assert training.go().outcome == "finished"
    same = training.digest() == training.digest("run-02/adapter/fine-tuned")
    assert same == (merge == "none")
