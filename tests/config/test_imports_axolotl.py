"""Axolotl's configs mean here what they mean there, or the difference is said."""

from collections.abc import Callable
from pathlib import Path

import pytest

from trainer_core.config.imports import Converted, tool_of
from trainer_core.config.load import LoadedConfig
from trainer_core.config.yaml_file import parse_yaml
from trainer_core.errors import UserError

Bring = Callable[[str], tuple[LoadedConfig, Converted]]
Refuse = Callable[[str], UserError]
AllSaid = Callable[[str, Converted], list[str]]

SAMPLE = """\
base_model: base
model_type: LlamaForCausalLM
tokenizer_type: AutoTokenizer
trust_remote_code: true
load_in_8bit: false
load_in_4bit: true
strict: false
chat_template: chatml
datasets:
  - path: rows.jsonl
    type: chat_template
    field_messages: messages
    message_property_mappings:
      role: role
      content: content
    roles_to_train: ["assistant"]
    train_on_eos: turn
  - path: owner/name
    name: part
    split: train
    revision: main
    type: alpaca
  - path: json
    data_files: [a.jsonl, b.jsonl]
    ds_type: json
    type: alpaca_w_system.load_open_orca
  - path: ./qa.jsonl
    type:
      field_instruction: question
      field_output: reply
      format: "[INST] {instruction} [/INST]"
  - path: squad
    type: completion
    field: context
dataset_prepared_path: last_run_prepared
dataset_processes: 3
dataset_exact_deduplication: true
val_set_size: 0.05
output_dir: ./outputs/out
adapter: qlora
lora_model_dir:
lora_r: 32
lora_alpha: 16
lora_dropout: 0.05
lora_target_linear: true
lora_target_modules:
  - gate_proj
lora_fan_in_fan_out:
lora_modules_to_save:
  - embed_tokens
peft_use_dora: true
peft_use_rslora: true
peft_init_lora_weights: pissa
sequence_len: 2048
sample_packing: true
eval_sample_packing: false
pad_to_sequence_len: true
wandb_project: project
wandb_entity: team
wandb_watch:
wandb_name: my-run
wandb_log_model:
gradient_accumulation_steps: 4
micro_batch_size: 2
num_epochs: 4
optimizer: paged_adamw_32bit
lr_scheduler: cosine
learning_rate: 0.0002
train_on_inputs: false
group_by_length: false
bf16: true
fp16:
tf32: false
gradient_checkpointing: true
early_stopping_patience: 3
resume_from_checkpoint: last
logging_steps: 1
flash_attention: true
warmup_steps: 10
evals_per_epoch: 4
saves_per_epoch: 1
save_total_limit: 5
debug:
deepspeed: deepspeed_configs/zero1.json
weight_decay: 0.0
max_grad_norm: 0.3
fsdp:
fsdp_config:
seed: 11
special_tokens:
  pad_token: "<|end_of_text|>"
hub_model_id: me/mine
unheard_of: 1
"""
SMALL = "base_model: base\nadapter: lora\ndatasets:\n  - path: rows.jsonl\n    type: alpaca\n"


def test_a_file_is_told_by_its_keys() -> None:
    assert tool_of(parse_yaml(SAMPLE, "x").data) == "Axolotl"


def test_a_whole_file(bring: Bring, folder: Path) -> None:
    config = bring(SAMPLE)[0].config
    assert config.model.base == str(folder / "base")
    assert config.model.trust_remote_code
    assert (config.model.quantization, config.model.max_length) == ("4bit", 2048)
    assert (config.model.template, config.model.attention) == ("chatml", "flash_attention_2")
    lora = config.lora
    assert (lora.rank, lora.alpha, lora.dropout) == (32, 16, 0.05)
    assert (lora.targets, lora.dora, lora.rslora, lora.init) == ("all-linear", True, True, "pissa")
    training = config.training
    assert (training.method, training.epochs, training.steps) == ("lora", 4, "auto")
    assert (training.batch_size, training.gradient_accumulation) == (2, 4)
    assert (training.optimizer, training.scheduler) == ("paged_adamw", "cosine")
    assert (training.learning_rate, training.warmup_steps) == (2e-4, 10)
    assert (training.weight_decay, training.max_grad_norm) == (0, 0.3)
    assert (training.precision, training.gradient_checkpointing) == ("bfloat16", "on")
    assert (training.packing, training.patience, training.seed) == ("pack", 3, 11)
    assert (training.keep_checkpoints, training.eval_steps) == (5, "auto")
    assert (config.tracking.to, config.tracking.project) == (["wandb"], "project")
    assert (config.run.name, config.run.folder) == ("my-run", str(folder / "outputs" / "out"))
    assert config.data.split.fractions == {"train": 0.95, "validation": 0.05}
    assert (config.data.duplicates, config.data.workers) == ("drop", 3)


def test_its_datasets(bring: Bring, folder: Path) -> None:
    rows, hub, first, second, custom, squad = bring(SAMPLE)[0].config.data.train
    assert (rows.path, rows.columns) == (str(folder / "rows.jsonl"), {"messages": "messages"})
    assert (hub.hub, hub.subset, hub.split, hub.revision) == ("owner/name", "part", "train", "main")
    assert hub.columns == {}
    assert [first.path, second.path] == [str(folder / name) for name in ("a.jsonl", "b.jsonl")]
    for source in (first, second):
        assert source.columns == {
            "system": "system_prompt",
            "prompt": "question",
            "completion": "response",
        }
    assert custom.path == str(folder / "qa.jsonl")
    assert custom.columns == {"prompt": "question", "completion": "reply"}
    assert (squad.hub, squad.columns) == ("squad", {"text": "context"})


def test_no_key_is_dropped_in_silence(bring: Bring, all_said: AllSaid) -> None:
    assert all_said(SAMPLE, bring(SAMPLE)[1]) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rl: dpo", "another training"),
        ("adapter: llama-adapter", "lora or qlora"),
        ("learning_rate: fast", "number"),
        ("num_epochs: -1", "training.epochs"),
        ("micro_batch_size: 0", "training.batch_size"),
        ("val_set_size: -0.1", "negative"),
        ("optimizer: adamw_8bits", "Did you mean"),
        ("lr_scheduler: cosin", "Did you mean cosine?"),
        ("warmup_ratio: 3", "share"),
        ("load_in_4bit: perhaps", "true or false"),
        ("sequence_len: [1]", "number"),
        ("pretraining_dataset: [{path: x}]", ""),
        ("test_datasets: rows.jsonl", "list of datasets"),
    ],
)
def test_what_cannot_be_right_is_refused_at_its_line(
    bring: Bring, refuse: Refuse, line: str, words: str
) -> None:
    text = SMALL.replace("adapter: lora\n", "") + line + "\n"
    if not words:  # beside datasets it is only said
        assert any("pretraining_dataset is not" in note for note in bring(text)[1].notes)
        text = f"base_model: base\nx: 1\ny: 1\nz: 1\n{line}\n"
    error = refuse(text)
    assert error.where.endswith(":5"), error
    assert words in str(error)


def test_without_an_adapter_all_weights_train(bring: Bring) -> None:
    for adapter in ("", "adapter:\n"):
        loaded, converted = bring(SMALL.replace("adapter: lora\n", adapter))
        assert loaded.config.training.method == "full"
        assert any("all weights are trained" in note for note in converted.notes)


def test_trust_is_never_taken_from_a_word(bring: Bring) -> None:
    for word, trusted in (("true", True), ("'true'", False), ("1", False), ("false", False)):
        loaded, converted = bring(f"{SMALL}trust_remote_code: {word}\n")
        assert loaded.config.model.trust_remote_code is trusted
        assert any("trust_remote_code" in note for note in converted.notes)


def test_shares_of_the_steps_need_their_number(bring: Bring) -> None:
    shares = "warmup_ratio: 0.1\neval_steps: 0.25\nsave_steps: 0.5\n"
    training = bring(f"{SMALL}{shares}max_steps: 75\nnum_epochs: 2\n")[0].config.training
    assert (training.steps, training.warmup_steps) == (75, 8)
    assert (training.eval_steps, training.save_steps) == (19, 38)
    loaded, converted = bring(f"{SMALL}{shares}num_epochs: 2\n")
    training = loaded.config.training
    assert (training.steps, training.epochs) == ("auto", 2)
    assert (training.warmup_steps, training.eval_steps) == ("auto", "auto")
    for key in ("warmup_ratio", "eval_steps", "save_steps"):
        assert any(f"{key} is a share of all steps" in note for note in converted.notes)


def test_a_constant_rate_has_no_warmup_there(bring: Bring) -> None:
    training = bring(f"{SMALL}lr_scheduler: constant\n")[0].config.training
    assert (training.scheduler, training.warmup_steps) == ("constant", 0)
    training = bring(f"{SMALL}lr_scheduler: constant_with_warmup\n")[0].config.training
    assert (training.scheduler, training.warmup_steps) == ("constant", "auto")


def test_validation_rows(bring: Bring) -> None:
    held_out = "test_datasets:\n  - path: held_out.jsonl\n    split: train\n    type: alpaca\n"
    data = bring(f"{SMALL}{held_out}val_set_size: 0\n")[0].config.data
    assert str(data.validation[0].path).endswith("held_out.jsonl")
    assert data.split.fractions is None
    none = bring(f"{SMALL}val_set_size: 0.0\n")[0].config.data.split.fractions
    assert none == {"train": 1, "validation": 0}
    loaded, converted = bring(f"{SMALL}val_set_size: 100\n")
    assert loaded.config.data.split.fractions is None
    assert any("val_set_size is a number of rows" in note for note in converted.notes)


def test_paths_from_where_the_tool_is_started(
    bring: Bring, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path_factory.mktemp("here")
    (here / "only_here.jsonl").write_text("{}")
    (here / "rows.jsonl").write_text("{}")
    monkeypatch.chdir(here)
    data = bring(SMALL.replace("rows.jsonl", "only_here.jsonl"))[0].config.data
    assert data.train[0].path == str(here / "only_here.jsonl")
    assert bring(SMALL)[0].config.data.train[0].path != str(here / "rows.jsonl")  # beside the file


def test_precision(bring: Bring) -> None:
    for lines, precision, dtype in (
        ("bf16: auto\n", "auto", "auto"),
        ("bf16: false\nfp16: true\n", "float16", "auto"),
        ("bf16: false\nfp16: false\n", "float32", "auto"),
        ("bf16: false\nbfloat16: true\n", "auto", "bfloat16"),
    ):
        config = bring(f"{SMALL}{lines}")[0].config
        assert (config.training.precision, config.model.dtype) == (precision, dtype)
