"""Every field of the schema changes a run.

Each is set to another value in a short real run, and what it is for must show. A field that no
example here shows, and no test named in ELSEWHERE, fails `test_no_field_is_without_effect`.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from trainer_core.api import Trainer, TrainResult
from trainer_core.config.fields_list import all_fields
from trainer_core.errors import BackpropError
from trainer_core.runs.events import Event

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
STEPS = 4
SETTINGS: dict[str, Any] = {
    "model.backend": "transformers",
    "lora.rank": 4,
    "data.validation": "held_out.jsonl",
    "training.steps": STEPS,
    "training.batch_size": 2,
    "training.gradient_accumulation": 1,
    "training.packing": "off",
    "training.learning_rate": 1e-3,
    "training.warmup_steps": 0,
    "training.eval_steps": 2,
    "training.save_steps": 2,
}


@dataclass
class Run:
    """A run that ended: what it said, and what it left behind."""

    result: TrainResult | None
    events: list[Event]
    error: str = ""
    calls: dict[str, int] = field(default_factory=dict)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    @property
    def losses(self) -> list[float]:
        return [event.values["loss"] for event in self.of("metrics")]

    @property
    def rates(self) -> list[float]:
        return [event.values["learning_rate"] for event in self.of("metrics")]

    @property
    def values(self) -> dict[str, Any]:
        return self.of("plan")[0].values

    @property
    def folder(self) -> Path:
        assert self.result is not None, self.error
        return self.result.folder

    @cached_property
    def adapter(self) -> dict[str, Any]:
        return json.loads((self.folder / "adapter" / "last" / "adapter_config.json").read_text())

    @cached_property
    def weights(self) -> dict[str, Any]:
        from safetensors.torch import load_file

        return load_file(self.folder / "adapter" / "last" / "adapter_model.safetensors")

    @property
    def checkpoints(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "checkpoints").glob("step-*"))

    @property
    def log(self) -> str:
        said = self.of("log") + self.of("warning")
        return "\n".join(event.message for event in said)


class Runs:
    """Makes runs of the demo model on a few of its rows."""

    def __init__(self, folder: Path, demo: Path) -> None:
        self.folder, self.demo = folder, demo
        rows = (demo / "train.jsonl").read_text().splitlines()
        (folder / "rows.jsonl").write_text("\n".join(rows[:40]) + "\n")
        (folder / "broken.jsonl").write_text("\n".join([*rows[:40], "{nope"]) + "\n")
        (folder / "held_out.jsonl").write_text("\n".join(rows[100:110]) + "\n")

    def run(self, settings: dict[str, Any]) -> Run:
        """Train for real. What ends in an error is a run too."""
        from transformers import modeling_utils

        events: list[Event] = []
        calls = {"checkpoint": 0}
        spied = modeling_utils.checkpoint

        def count(*arguments: Any, **named: Any) -> Any:
            calls["checkpoint"] += 1
            return spied(*arguments, **named)

        chosen = {"data.train": "rows.jsonl", "model.base": str(self.demo / "base")} | SETTINGS
        chosen |= settings
        chosen = {name: value for name, value in chosen.items() if value is not None}
        modeling_utils.checkpoint = count
        try:
            result = Trainer(overrides=chosen).train(on_event=events.append)
            return Run(result, events, calls=calls)
        except BackpropError as error:
            return Run(None, events, str(error), calls)
        finally:
            modeling_utils.checkpoint = spied


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("runs")
    before, cache = Path.cwd(), os.environ.get("XDG_CACHE_HOME")
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    with pytest.MonkeyPatch.context() as patch:  # a hundred reports are looked at by nobody
        patch.setattr("trainer_core.python.in_process.report_on", lambda _folder: None)
        yield Runs(folder, demo)
    os.chdir(before)
    if cache is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = cache


@pytest.fixture(scope="module")
def usual(runs: Runs) -> Run:
    return runs.run({})


Shows = Callable[[Run, Run], bool]
# Of each field: settings that change it, and what must be seen of it, given the usual run and this.
EXAMPLES: dict[str, tuple[dict[str, Any], Shows]] = {
    "run.name": ({"run.name": "mine"}, lambda _, new: new.folder.name.endswith("-mine")),
    "run.folder": ({"run.folder": "chosen"}, lambda _, new: new.folder.name == "chosen"),
    "model.quantization": (
        {"model.quantization": "4bit"},
        lambda old, new: abs(new.losses[0] - old.losses[0]) > 1e-3,
    ),
    "model.dtype": (
        {"model.dtype": "bfloat16"},
        lambda old, new: new.losses != old.losses and "as bfloat16" in new.log,
    ),
    "model.max_length": (
        {"model.max_length": 20, "data.too_long": "truncate"},
        lambda old, new: "cut off at 20 tokens" in new.log and "cut off" not in old.log,
    ),
    "model.template": (
        {"model.template": "zephyr"},
        lambda old, new: (
            new.losses[0] != old.losses[0]
            and "im_start" not in (new.folder / "adapter/last/chat_template.jinja").read_text()
        ),
    ),
    "model.attention": (
        {"model.attention": "eager"},
        lambda old, new: (
            new.losses != old.losses and new.losses == pytest.approx(old.losses, abs=1e-4)
        ),
    ),
    "lora.rank": ({"lora.rank": 8}, lambda _, new: new.adapter["r"] == 8),
    "lora.alpha": (
        {"lora.alpha": 8},
        lambda old, new: new.adapter["lora_alpha"] == 8 and new.losses[1:] != old.losses[1:],
    ),
    "lora.dropout": ({"lora.dropout": 0.5}, lambda old, new: new.losses[1:] != old.losses[1:]),
    "lora.targets": (
        {"lora.targets": ["q_proj"]},
        lambda _, new: all(".q_proj." in name for name in new.weights),
    ),
    "lora.rslora": (
        {"lora.rslora": True},
        lambda old, new: new.adapter["use_rslora"] and new.losses[-1] < old.losses[-1],
    ),
    "lora.dora": (
        {"lora.dora": True},
        lambda _, new: any("magnitude" in name for name in new.weights),
    ),
    "lora.init": (
        {"lora.init": "gaussian"},
        lambda old, new: new.losses[0] == old.losses[0] and new.losses[1:] != old.losses[1:],
    ),
    "training.method": (
        {"training.method": "full"},
        lambda _, new: (new.folder / "model" / "last" / "model.safetensors").is_file(),
    ),
    "training.steps": ({"training.steps": 3}, lambda _, new: len(new.losses) == 3),
    "training.epochs": (
        {"training.steps": "auto", "training.epochs": 0.5},
        lambda _, new: len(new.losses) == 10,  # of 40 rows, two a step
    ),
    "training.batch_size": (
        {"training.batch_size": 3},
        lambda old, new: new.of("metrics")[0].epoch > old.of("metrics")[0].epoch,
    ),
    "training.gradient_accumulation": (
        {"training.gradient_accumulation": 3},
        lambda old, new: new.of("metrics")[-1].tokens > 2 * old.of("metrics")[-1].tokens,
    ),
    "training.effective_batch": (
        {"training.gradient_accumulation": "auto", "training.effective_batch": 6},
        lambda _, new: (
            new.values["training.gradient_accumulation"] == 3
            and new.of("metrics")[0].epoch == pytest.approx(6 / 40, abs=0.01)
        ),
    ),
    "training.packing": (
        {"training.packing": "pack"},
        lambda _, new: "% filled" in new.log,
    ),
    "training.learning_rate": (
        {"training.learning_rate": 5e-4},
        lambda _, new: new.rates[0] == 5e-4,
    ),
    "training.scheduler": (
        {"training.scheduler": "constant"},
        lambda old, new: len(set(new.rates)) == 1 < len(set(old.rates)),
    ),
    "training.warmup_steps": (
        {"training.warmup_steps": 3},
        lambda old, new: new.rates[0] < new.rates[1] and old.rates[0] > old.rates[1],
    ),
    "training.weight_decay": (
        {"training.weight_decay": 10.0},
        lambda old, new: new.losses[-1] != old.losses[-1],
    ),
    "training.max_grad_norm": (
        {"training.max_grad_norm": 1e-4, "training.optimizer": "sgd"},
        lambda _, new: abs(new.losses[-1] - new.losses[0]) < 1,
    ),
    "training.optimizer": (
        {"training.optimizer": "lion"},
        lambda old, new: new.losses[0] == old.losses[0] and new.losses[1:] != old.losses[1:],
    ),
    "training.precision": (
        {"training.precision": "bfloat16"},
        lambda old, new: new.losses[0] != old.losses[0] and "as float32" in new.log,
    ),
    "training.gradient_checkpointing": (
        {"training.gradient_checkpointing": "on"},
        lambda old, new: (
            new.calls["checkpoint"] > 0 == old.calls["checkpoint"]
            and new.losses == pytest.approx(old.losses, abs=1e-4)
        ),
    ),
    "training.eval_steps": (
        {"training.eval_steps": 1},
        lambda old, new: len(new.of("eval")) == 4 and len(old.of("eval")) == 2,
    ),
    "training.save_steps": (
        {"training.save_steps": 3},
        lambda _, new: [e.step for e in new.of("checkpoint")] == [3, 4],
    ),
    "training.keep_checkpoints": (
        {"training.save_steps": 1, "training.keep_checkpoints": 3},
        lambda old, new: len(new.checkpoints) == 3 > len(old.checkpoints),
    ),
    "training.remove_checkpoints": (
        {"training.remove_checkpoints": True},
        lambda old, new: old.checkpoints != [] == new.checkpoints,
    ),
    "training.patience": (
        {"training.patience": 1, "training.eval_steps": 1, "training.min_delta": 100},
        lambda _, new: len(new.losses) == 2 and "brought no better loss" in _ending(new),
    ),
    "training.min_delta": (
        {"training.patience": 1, "training.eval_steps": 1},
        lambda _, new: len(new.losses) == STEPS,  # with the delta above it ends after two
    ),
    "training.seed": ({"training.seed": 1}, lambda old, new: new.losses != old.losses),
    "training.sample_prompts": (
        {"training.sample_prompts": ["What does a hen say?"]},
        lambda _, new: (
            [(e.when, e.step) for e in new.of("samples")]
            == [("before", 0), ("during", 2), ("after", 4)]  # as often as validation
        ),
    ),
    "training.sample_steps": (
        {"training.sample_prompts": ["Hello"], "training.sample_steps": 3},
        lambda _, new: [e.step for e in new.of("samples")] == [0, 3, 4],
    ),
    "training.score_steps": (
        {"training.score_steps": 2},
        lambda old, new: (
            [(e.step, e.rows) for e in new.of("scored")] == [(2, 10)]
            and 0 <= new.of("scored")[0].scores["chrf"].value <= 1
            and not old.of("scored")
            and new.losses == old.losses
        ),
    ),
    "training.score_rows": (
        {"training.score_steps": 2, "training.score_rows": 3},
        lambda _, new: [e.rows for e in new.of("scored")] == [3],
    ),
    "training.score_tokens": (
        {"training.score_steps": 2, "training.score_tokens": 1},
        lambda _, new: new.of("scored")[0].scores["exact"].value == 0,
    ),
    "training.sample_tokens": (
        {"training.sample_prompts": ["Tell me a story"], "training.sample_tokens": 1},
        lambda _, new: len(new.of("samples")[0].answers[0].answer.split()) <= 1,
    ),
    "multi_run.density": (
        {"multi_run.runs": 2, "multi_run.merge": "ties", "multi_run.density": 0.01},
        lambda _, new: any(bool((x != 0).float().mean() < 0.05) for x in new.weights.values()),
    ),
    "multi_run.warmup": (
        {"multi_run.runs": 2, "multi_run.warmup": "first", "training.warmup_steps": 2},
        lambda _, new: new.rates[0] < new.rates[1] and new.rates[4] > new.rates[5],
    ),
    "multi_run.last_learning_rate": (
        {"multi_run.runs": 2, "multi_run.last_learning_rate": 1e-4},
        lambda _, new: (new.rates[0], new.rates[4]) == (1e-3, 1e-4),
    ),
    "safety.memory_limit": (
        {"safety.memory_limit": 0.001},
        lambda _, new: "of memory, and RAM has" in new.error and not new.losses,
    ),
    "safety.over_memory": (
        {"safety.memory_limit": 0.001, "safety.over_memory": "warn"},
        lambda _, new: len(new.losses) == STEPS and "of memory, and RAM has" in new.log,
    ),
    "safety.probe": (
        {"safety.probe": "on"},
        lambda old, new: "measured" in new.log and new.losses == old.losses,
    ),
    "tracking.to": (
        {"tracking.to": ["tensorboard"]},
        lambda _, new: b"train/loss" in _written(new.folder / "tensorboard"),
    ),
    "logging.level": (
        {"logging.level": "ERROR"},
        lambda old, new: len(new.of("log")) < len(old.of("log")),
    ),
    "data.validation": (
        {"data.validation": None},
        lambda old, new: (
            "validation: 2 examples" in new.log and "validation: 10 examples" in old.log
        ),
    ),
    "data.test": (
        {"data.test": "rows.jsonl"},
        lambda old, new: "in two splits" in new.log and "in two splits" not in old.log,
    ),
    "data.problems": (
        {"data.train": "broken.jsonl", "data.problems": "skip"},
        lambda _, new: "1 rows dropped: unreadable" in new.log and len(new.losses) == STEPS,
    ),
    "data.duplicates": (
        {"data.train": ["rows.jsonl", "rows.jsonl"], "data.duplicates": "drop"},
        lambda _, new: "40 rows dropped: duplicate" in new.log and "train: 40 examples" in new.log,
    ),
    "data.min_tokens": (
        {"data.min_tokens": 27, "data.problems": "skip"},
        lambda _, new: "too short" in new.log,
    ),
    "data.train[].path": (
        {"data.train": [{"path": "held_out.jsonl"}], "data.validation": None},
        lambda _, new: "held_out.jsonl: 10 rows" in new.log,
    ),
    "data.train[].limit": (
        {"data.train": [{"path": "rows.jsonl", "limit": 6}]},
        lambda _, new: "train: 6 examples" in new.log,
    ),
    "data.train[].weight": (
        {"data.train": [{"path": "rows.jsonl", "weight": 2}]},
        lambda _, new: "train: 80 examples" in new.log,
    ),
    "data.limit": (
        {"data.limit": 4},
        lambda old, new: new.of("metrics")[0].epoch == 0.5 > old.of("metrics")[0].epoch,
    ),
}
EXPORTS = "tests/end_to_end/test_export.py"
MULTI_RUN, SHARDS = "tests/engine/test_multi_run.py", "tests/tokens/test_shards.py"
STAGES = "tests/planning/test_multi_run.py::test_stages_have_settings_of_their_own"
OWN_LENGTH = f"{SHARDS}::test_a_stage_has_sources_and_a_length_of_its_own"
REPLAYED = f"{SHARDS}::test_replayed_rows_make_up_their_share"
PREPARE, SPLITS = "tests/tokens/test_prepare.py", "tests/data/test_splits.py"
SOURCES = "tests/data/test_sources.py"
TOGETHER = "test_columns_that_rows_are_kept_together_and_shared_out_by"
NUMBERS = "tests/engine/test_numbers.py"
# What other tests show, each named where it stands.
GPU_WATCH = "tests/faults/test_gpu_watch.py"
ELSEWHERE = {
    "preset": "tests/planning/test_plan.py::test_a_preset_is_an_origin_of_its_own",
    "model.base": "tests/engine/test_bases.py::test_another_base_is_another_model",
    "model.revision": "tests/engine/test_bases.py::test_a_revision_is_the_one_that_is_loaded",
    "model.backend": "tests/end_to_end/test_packed_run.py::test_a_packed_run",
    "model.trust_remote_code": "tests/engine/test_bases.py::test_a_models_own_code_runs_only_if",
    "lora.adapter": "tests/engine/test_bases.py::test_an_adapter_is_gone_on_with",
    "logging.hardware_seconds": "tests/engine/test_bases.py::test_the_pace_of_hardware_samples",
    "run.resume": "tests/end_to_end/test_resuming.py::test_the_same_command_goes_on",
    "safety.bad_loss": "tests/engine/test_bases.py::test_a_loss_that_is_not_a_number",
    "safety.on_oom": "tests/engine/test_shrinking.py::test_stop_is_what_a_config_can_ask_for",
    "safety.exploding_loss": f"{NUMBERS}::test_a_loss_that_explodes_ends_the_run",
    "safety.zero_gradients": f"{NUMBERS}::test_gradients_that_stay_zero_end_it",
    "safety.full_disk": "tests/faults/test_full_disk.py::test_it_stops_where_the_config_says_so",
    "safety.gpu_watch": f"{GPU_WATCH}::test_the_watch_begins_with_the_settings",
    "safety.gpu_warn": f"{GPU_WATCH}::test_it_warns_once_and_again_only_after_it_has_cooled",
    "safety.gpu_pause": f"{GPU_WATCH}::test_it_pauses_until_it_is_five_degrees_cooler",
    "safety.gpu_stop": f"{GPU_WATCH}::test_it_saves_and_stops_before_the_device_shuts_itself_down",
    "safety.throttling": f"{GPU_WATCH}::test_throttling_can_be_left_alone",
    "safety.memory_errors": f"{GPU_WATCH}::test_memory_errors_can_be_gone_on_with",
    "safety.stuck_seconds": "tests/faults/test_deaths.py::test_a_suspended_job_is_told_and_a_hung",
    "tracking.project": "tests/tracking/test_trackers.py::test_a_run_is_read_back_as_it_was",
    "export.formats": f"{EXPORTS}::test_a_run_exports_itself_when_it_has_finished",
    "export.quantizations": f"{EXPORTS}::test_a_run_exports_itself_when_it_has_finished",
    "export.check": f"{EXPORTS}::test_what_was_not_checked_says_so",
    "export.dtype": f"{EXPORTS}::test_an_adapter_alone_can_be_exported",
    "export.ollama": f"{EXPORTS}::test_a_gguf_goes_to_ollama_with_the_template_of_its_training",
    "export.push": f"{EXPORTS}::test_an_export_goes_to_the_hub",
    "export.onnx_precision": "tests/export/test_onnx.py::test_fewer_bits",
    "export.base": "tests/export/test_source.py::test_a_quantised_base_gives_way",
    "export.dequantize": "tests/export/test_source.py::test_a_quantised_base_is_turned_back",
    "multi_run.runs": f"{SHARDS}::test_rows_are_dealt_out_once",
    "multi_run.by_source": f"{SHARDS}::test_a_run_for_each_source",
    "multi_run.samples": f"{SHARDS}::test_a_run_for_each_source",
    "multi_run.replay": REPLAYED,
    "multi_run.replay_from": REPLAYED,
    "multi_run.eval_rows": f"{SHARDS}::test_what_is_scored_is_named_by_shard",
    "multi_run.merge": f"{MULTI_RUN}::test_other_merges_train_to_the_end",
    "multi_run.patience": f"{MULTI_RUN}::test_it_ends_when_the_general_slice_gets_no_better",
    "multi_run.compare": f"{MULTI_RUN}::test_baselines_train_as_many_steps",
    "multi_run.stages": f"{MULTI_RUN}::test_stages_have_their_own_lengths_rates_and_targets",
    "multi_run.stages[].name": OWN_LENGTH,
    "multi_run.stages[].sources": OWN_LENGTH,
    "multi_run.stages[].max_length": OWN_LENGTH,
    **{
        f"multi_run.stages[].{name}": STAGES
        for name in ("steps", "epochs", "target_loss", "learning_rate", "warmup_steps")
    },
    "data.train": f"{PREPARE}::test_several_sources_weights_limits_and_other_splits",
    "data.train[].columns": "tests/data/test_formats.py::test_columns_that_the_config_names",
    "data.near_duplicates": f"{PREPARE}::test_copies_of_a_near_duplicate_go_with_it",
    "data.too_long": f"{PREPARE}::test_too_long_is_dropped_cut_or_carried_on",
    "data.train_on": f"{PREPARE}::test_only_the_last_answer_is_shown_as_trained",
    "data.workers": f"{PREPARE}::test_several_processes_give_what_one_gives",
    "data.split": f"{SPLITS}::test_exact_shares_the_same_every_time",
    "data.split.fractions": f"{SPLITS}::test_exact_shares_the_same_every_time",
    "data.split.seed": f"{SPLITS}::test_another_seed_is_another_draw",
    "data.split.group": f"{PREPARE}::{TOGETHER}",
    "data.split.stratify": f"{PREPARE}::{TOGETHER}",
    "data.split.file": f"{SPLITS}::test_a_split_file_is_made_once_and_then_followed",
    "data.split.id": f"{SPLITS}::test_a_split_file_is_made_once_and_then_followed",
    **{
        f"data.train[].{name}": "tests/data/test_hub.py::test_splits_subsets_and_limits"
        for name in ("hub", "subset", "split", "revision")
    },
    **{
        f"data.train[].pairs{name}": f"{SOURCES}::test_pairs"
        for name in (
            "", ".inputs", ".input_mask", ".input_column", ".id_column", ".answers",
            ".answer_mask", ".prompt", ".placeholder",
        )
    },
    **{
        f"data.train[].encryption{name}": f"{SOURCES}::test_encrypted"
        for name in ("", ".key_env", ".columns")
    },
}  # fmt: skip


def _ending(run: Run) -> str:
    return str(run.events[-1].message)  # type: ignore[union-attr]


def _written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_field_takes_effect(runs: Runs, usual: Run, name: str) -> None:
    settings, shows = EXAMPLES[name]
    assert name.partition("[]")[0] in settings or name == "training.min_delta"
    new = runs.run(settings)
    assert shows(usual, new), (new.error, new.losses, usual.losses, new.rates)


def test_no_field_is_without_effect() -> None:
    known = {doc.name for doc in all_fields()}
    shown = EXAMPLES.keys() | ELSEWHERE.keys()
    assert known - shown == set(), "no test shows what these do"
    assert shown - known == set(), "there are no such fields"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_other_tests_are_there(name: str) -> None:
    path, _, test = ELSEWHERE[name].partition("::")
    text = (ROOT / path).read_text()
    assert f"def {test}" in text
    assert name.replace("[]", "").rpartition(".")[2] in text
