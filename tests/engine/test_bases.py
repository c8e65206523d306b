"""What a run starts from: another base, a revision of it, its own code, an adapter, bad weights."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from trainer_core.api import Trainer
from trainer_core.errors import BackpropError, UserError
from trainer_core.runs.events import Event

torch = pytest.importorskip("torch")

SETTINGS: dict[str, Any] = {
    "model.backend": "transformers",
    "training.steps": 2,
    "training.batch_size": 2,
    "training.packing": "off",
    "training.learning_rate": 1e-3,
    "lora.rank": 4,
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = (demo / "train.jsonl").read_text().splitlines()[:40]
    Path("rows.jsonl").write_text("\n".join(rows))


def train(base: Path | str, **settings: Any) -> tuple[Any, list[Event]]:
    events: list[Event] = []
    chosen = SETTINGS | {name.replace("__", "."): value for name, value in settings.items()}
    trainer = Trainer(base, overrides=chosen)
    return trainer.train("rows.jsonl", on_event=events.append), events


def losses(events: list[Event]) -> list[float]:
    return [event.values["loss"] for event in events if event.type == "metrics"]


def changed_base(demo: Path, folder: Path, change: Any) -> Path:
    """A copy of the demo's base with its output head changed."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(demo / "base", folder)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "embed" in name)
    weights[name] = change(weights[name])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_another_base_is_another_model(demo: Path, tmp_path: Path) -> None:
    other = changed_base(demo, tmp_path / "other", lambda weight: weight * 0.5)
    first, second = train(demo / "base")[1], train(other)[1]
    assert losses(first)[0] != losses(second)[0]


def test_a_revision_is_the_one_that_is_loaded(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two revisions of a model that were fetched before, in the hub's own cache, offline."""
    from huggingface_hub import constants

    from trainer_core.engine.base_model import fetch

    hub = tmp_path / "hub"
    repository = hub / "models--someone--model"
    for revision in ("main", "v2"):
        commit = revision.ljust(40, "0")
        shutil.copytree(demo / "base", repository / "snapshots" / commit)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / revision).write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch("someone/model").name.startswith("main")
    assert fetch("someone/model", "v2").name.startswith("v2")
    with pytest.raises(UserError, match="not on this machine"):
        fetch("someone/model", "v3")


CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM
Path({marker!r}).touch()
class OwnConfig(LlamaConfig):
    model_type = "own_kind"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.mark.parametrize("allowed", [None, False, "false", 0, 1, "true", "yes", True])
def test_a_models_own_code_runs_only_if(demo: Path, tmp_path: Path, allowed: Any) -> None:
    """Only a literal `model.trust_remote_code: true` runs it."""
    marker, base = tmp_path / "it_ran", tmp_path / "own"
    shutil.copytree(demo / "base", base)
    config = json.loads((base / "config.json").read_text())
    config |= {
        "model_type": "own_kind",
        "architectures": ["OwnModel"],
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    }
    (base / "config.json").write_text(json.dumps(config))
    (base / "own.py").write_text(CODE.format(marker=str(marker)))
    settings = {} if allowed is None else {"model__trust_remote_code": allowed}
    if allowed is True:
        train(base, **settings)
        assert marker.exists()
        return
    with pytest.raises(UserError, match=r"trust_remote_code"):
        train(base, **settings)
    assert not marker.exists()


def test_a_tokenizers_own_code_does_not_run(demo: Path, tmp_path: Path) -> None:
    marker, base = tmp_path / "it_ran", tmp_path / "own"
    shutil.copytree(demo / "base", base)
    config = json.loads((base / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    (base / "own.py").write_text(CODE.format(marker=str(marker)))
    with pytest.raises(UserError, match="trust_remote_code"):
        train(base)
    assert not marker.exists()


@pytest.mark.parametrize("named", ["model.base", "lora.adapter"])
def test_an_adapter_is_gone_on_with(demo: Path, tmp_path: Path, named: str) -> None:
    result, events = train(demo / "base", training__steps=20)
    adapter = result.adapter
    if named == "model.base":
        _, more = train(adapter, lora__rank="auto")
    else:
        _, more = train(demo / "base", lora__adapter=adapter, lora__rank="auto")
    assert losses(more)[0] < losses(events)[0] / 2
    plan = next(event for event in more if event.type == "plan")
    assert plan.values["model.base"] == str(demo / "base")
    assert (plan.values["lora.rank"], plan.values["lora.alpha"]) == (4, 32.0)
    with pytest.raises(UserError, match=r"lora\.rank is 8"):
        train(adapter, lora__rank=8)


def test_an_adapter_of_another_model_is_refused(demo: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    result, _ = train(demo / "base")
    weights = load_file(result.adapter / "adapter_model.safetensors")
    small = {name: weight[:, :2].contiguous() for name, weight in weights.items()}
    save_file(small, result.adapter / "adapter_model.safetensors")
    with pytest.raises(UserError, match="does not fit this model"):
        train(demo / "base", lora__adapter=result.adapter, lora__rank="auto")
    (result.adapter / "adapter_model.safetensors").unlink()
    (result.adapter / "adapter_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UserError, match="as safetensors only"):
        train(demo / "base", lora__adapter=result.adapter, lora__rank="auto")


def test_a_loss_that_is_not_a_number(demo: Path, tmp_path: Path) -> None:
    broken = changed_base(demo, tmp_path / "nan", lambda weight: weight * float("nan"))
    with pytest.raises(BackpropError, match="loss of step 1 is nan"):
        train(broken)
    _, events = train(broken, safety__bad_loss="warn")
    assert len(losses(events)) == 2
    assert any("not a number" in e.message for e in events if e.type == "warning")


def test_the_pace_of_hardware_samples(demo: Path, tmp_path: Path) -> None:
    from functools import partial

    from trainer_core.engine.train import train as train_folder
    from trainer_core.runs.control import Control
    from trainer_core.runs.folder import RunFolder
    from trainer_core.runs.recorder import Recorder
    from trainer_core.worker.job import perform
    from trainer_core.worker.sampling import sample_hardware

    done, _ = train(demo / "base", logging__hardware_seconds=0.25)
    folder = RunFolder(tmp_path / "again")
    folder.path.mkdir()
    shutil.copyfile(done.folder / "config.yaml", folder.config)
    events: list[Event] = []
    recorder = Recorder(folder, events.append)
    perform(folder, recorder, Control(), partial(train_folder, own_process=False))
    assert recorder.hardware_seconds == 0.25
    another = Recorder(folder, events.append)  # the first has said its last event
    another.hardware_seconds = recorder.hardware_seconds
    deadline = time.monotonic() + 30
    with sample_hardware(folder, another, Control()):
        while sum(e.type == "hardware" for e in events) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert sum(e.type == "hardware" for e in events) >= 3


@pytest.mark.parametrize("start", ["pissa", "olora"])
@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_that_began_in_the_base_fits_the_base_as_it_is(
    demo: Path, tmp_path: Path, start: str, rslora: bool
) -> None:
    """The validation loss of the run is that of the base with the saved adapter, and so with what
    an export makes of its last checkpoint."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from trainer_core.config.export_section import ExportRequest
    from trainer_core.export.source import find_source

    result, _ = train(
        demo / "base",
        lora__init=start,
        lora__rslora=rslora,
        training__steps=8,
        training__save_steps=8,
    )
    request = ExportRequest(source=str(result.folder), checkpoint="step-8", formats=["adapter"])
    saved, ids = find_source(request), torch.arange(5, 40)[None]
    found = []
    for adapter in (result.adapter, saved.settled(tmp_path / "plain").folder, None):
        model = AutoModelForCausalLM.from_pretrained(demo / "base", dtype=torch.float32)
        if adapter is not None:
            model = PeftModel.from_pretrained(model, adapter)
        with torch.no_grad():
            found.append(model(ids).logits)
    last, checkpoint, plain = found
    assert (last - checkpoint).abs().max() < 1e-4
    assert (last - plain).abs().max() > 0.1


@pytest.mark.parametrize("settings", [{"training__method": "full"},
                                      {"training__optimizer": "adamw_8bit"},
                                      {"lora__init": "pissa"},
                                      {"training__gradient_checkpointing": "on"}])  # fmt: skip
def test_a_resumed_run_ends_in_the_same_weights(
    demo: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    from functools import partial

    from safetensors.torch import load_file

    from trainer_core.engine.train import train as train_folder
    from trainer_core.runs.control import Control
    from trainer_core.runs.folder import RunFolder
    from trainer_core.runs.recorder import Recorder
    from trainer_core.worker.job import perform

    chosen = {"training__steps": 6, "training__save_steps": 2, **settings}
    whole, _ = train(demo / "base", **chosen)
    halted = Control()

    def stop(event: Event) -> None:
        if event.type == "metrics" and event.step == 3:
            halted.ask("stop")

    folder = RunFolder(tmp_path / "halted")
    folder.path.mkdir()
    shutil.copyfile(whole.folder / "config.yaml", folder.config)
    work = partial(train_folder, own_process=False)
    perform(folder, Recorder(folder, stop), halted, work)
    perform(folder, Recorder(folder, lambda _: None), Control(), work)
    name = whole.adapter.relative_to(whole.folder)
    file = next(path.name for path in whole.adapter.glob("*model.safetensors"))
    first, second = load_file(whole.adapter / file), load_file(folder.path / name / file)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
