"""LLaMA-Factory's configs mean here what they mean there, or the difference is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trainer_core.config.imports import Converted, tool_of
from trainer_core.config.load import LoadedConfig
from trainer_core.config.yaml_file import parse_yaml
from trainer_core.errors import UserError

Bring = Callable[[str], tuple[LoadedConfig, Converted]]
Refuse = Callable[[str], UserError]
AllSaid = Callable[[str, Converted], list[str]]

SAMPLE = """\
### model
model_name_or_path: base
trust_remote_code: true
flash_attn: fa2
quantization_bit: 4
quantization_method: bnb

### method
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
lora_dropout: 0.1
use_rslora: true
use_dora: false
pissa_init: false
adapter_name_or_path: adapter, another

### dataset
dataset_dir: data
dataset: identity
template: llama3
cutoff_len: 2048
max_samples: 1000
mask_history: true
overwrite_cache: true
preprocessing_num_workers: 3
dataloader_num_workers: 4

### output
output_dir: saves/lora
run_name: my-run
logging_steps: 10
save_steps: 500
plot_loss: true
overwrite_output_dir: true
save_only_model: false
report_to: [wandb, swanlab]

### train
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
max_steps: -1
lr_scheduler_type: cosine_with_restarts
warmup_ratio: 0.1
optim: adamw_torch
weight_decay: 0.01
max_grad_norm: 0.5
bf16: true
seed: 5
neat_packing: true
disable_gradient_checkpointing: true
ddp_timeout: 180000000
deepspeed: examples/deepspeed/ds_z3_config.json
resume_from_checkpoint: null

### eval
val_size: 0.1
per_device_eval_batch_size: 1
eval_strategy: steps
eval_steps: 500
unheard_of: 1
"""
SMALL = "model_name_or_path: base\nstage: sft\ndataset: identity\n"


@pytest.fixture(autouse=True)
def info(folder: Path) -> Path:
    """What explains the names of datasets."""
    known: dict[str, Any] = {
        "identity": {"file_name": "identity.json"},
        "hub": {"hf_hub_url": "owner/name", "subset": "part", "split": "train"},
        "named": {
            "file_name": "n.json",
            "columns": {"prompt": "q", "query": "about", "system": "s", "history": "h"},
        },
        "chat": {
            "file_name": "c.json",
            "formatting": "sharegpt",
            "columns": {"messages": "talk"},
            "tags": {"role_tag": "role", "content_tag": "content"},
        },
        "odd": {"file_name": "o.json", "formatting": "sharegpt", "tags": {"role_tag": "who"}},
        "prefer": {"file_name": "p.json", "ranking": True},
        "script": {"script_url": "somewhere"},
    }
    (folder / "data").mkdir()
    path = folder / "data" / "dataset_info.json"
    path.write_text(json.dumps(known))
    return path


def test_a_file_is_told_by_its_keys() -> None:
    assert tool_of(parse_yaml(SAMPLE, "x").data) == "LLaMA-Factory"


def test_a_whole_file(bring: Bring, folder: Path) -> None:
    config = bring(SAMPLE)[0].config
    assert config.model.base == str(folder / "base")
    assert config.model.trust_remote_code
    assert (config.model.quantization, config.model.max_length) == ("4bit", 2048)
    assert (config.model.template, config.model.attention) == ("llama-3", "flash_attention_2")
    lora = config.lora
    assert (lora.rank, lora.alpha, lora.dropout) == (8, 16, 0.1)  # alpha is twice the rank
    assert (lora.targets, lora.dora, lora.rslora) == ("all-linear", False, True)
    assert lora.adapter == str(folder / "adapter")
    training = config.training
    assert (training.method, training.epochs, training.steps) == ("lora", 3, "auto")
    assert (training.batch_size, training.gradient_accumulation) == (1, 8)
    assert (training.optimizer, training.scheduler) == ("adamw", "cosine")
    assert (training.learning_rate, training.warmup_steps) == (1e-4, "auto")
    assert (training.weight_decay, training.max_grad_norm, training.seed) == (0.01, 0.5, 5)
    assert (training.precision, training.gradient_checkpointing) == ("bfloat16", "off")
    assert (training.packing, training.eval_steps, training.save_steps) == ("pack", 500, 500)
    assert config.tracking.to == ["wandb"]
    assert (config.run.name, config.run.folder) == ("my-run", str(folder / "saves" / "lora"))
    data = config.data
    assert data.train[0].path == str(folder / "data" / "identity.json")
    assert data.train[0].limit == 1000
    assert (data.train_on, data.too_long, data.workers) == ("last", "truncate", 3)
    assert data.split.fractions == {"train": 0.9, "validation": 0.1}


def test_no_key_is_dropped_in_silence(bring: Bring, all_said: AllSaid) -> None:
    assert all_said(SAMPLE, bring(SAMPLE)[1]) == []


def test_names_of_datasets_are_explained_by_a_file(bring: Bring, folder: Path) -> None:
    loaded, converted = bring(SMALL.replace("identity", "hub, named,chat, odd"))
    hub, named, chat, odd = loaded.config.data.train
    assert (hub.hub, hub.subset, hub.split) == ("owner/name", "part", "train")
    assert named.path == str(folder / "data" / "n.json")
    assert named.columns == {
        "prompt": "q",
        "input": "about",
        "system": "s",
        "completion": "output",
    }
    assert chat.columns == {"messages": "talk"}
    assert odd.columns == {}
    assert any("not read here: history" in note for note in converted.notes)
    assert any("messages with other keys" in note for note in converted.notes)


@pytest.mark.parametrize("name", ["prefer", "script"])
def test_a_dataset_that_cannot_be_trained_on_is_refused(refuse: Refuse, name: str) -> None:
    assert refuse(SMALL.replace("identity", name)).where.endswith(":3")


def test_a_name_that_nothing_explains_is_taken_for_a_file(
    bring: Bring, folder: Path, info: Path
) -> None:
    info.unlink()
    loaded, converted = bring(SMALL)
    assert loaded.config.data.train[0].path == str(folder / "data" / "identity")
    assert any(
        ":3: dataset names 'identity', but data has no dataset_info.json" in note
        for note in converted.notes
    )


def test_a_broken_dataset_info_is_a_user_error(refuse: Refuse, info: Path) -> None:
    for content in (b"{", b"\xff\xfe", b"[" * 100_000, b"[1]"):
        info.write_bytes(content)
        assert "dataset_info.json" in str(refuse(f"{SMALL}dataset_dir: data\n"))
    info.write_text("{}")
    assert refuse(SMALL.replace("identity", "[1]")).where.endswith(":3")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stage: dpo", "sft"),
        ("finetuning_type: freeze", "lora or full"),
        ("learning_rate: fast", "number"),
        ("num_train_epochs: -1", "training.epochs"),
        ("per_device_train_batch_size: 0", "training.batch_size"),
        ("lora_rank: -8", "lora.rank"),
        ("quantization_bit: 3", "4 or 8"),
        ("optim: adamw_8bits", "Did you mean"),
        ("val_size: -1", "negative"),
        ("packing: often", "true or false"),
    ],
)
def test_what_cannot_be_right_is_refused_at_its_line(refuse: Refuse, line: str, words: str) -> None:
    error = refuse("model_name_or_path: base\ndataset: identity\n" + line + "\n")
    assert error.where.endswith(":3"), error
    assert words in str(error)


def test_all_weights(bring: Bring) -> None:
    loaded, converted = bring(f"{SMALL}finetuning_type: full\nlora_rank: 8\n")
    assert loaded.config.training.method == "full"
    assert loaded.config.lora.rank == "auto"
    assert any("lora_rank (line 5)" in note for note in converted.notes)


def test_packing_without_its_mask_is_safer_here(bring: Bring) -> None:
    loaded, converted = bring(f"{SMALL}packing: true\n")
    assert loaded.config.training.packing == "pack"
    assert any("see each other" in note for note in converted.notes)
