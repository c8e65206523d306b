"""Keywords: those of the fields, those that people bring, and what is said of others."""

import pytest

from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from trainer_core.python.keywords import (
    KEYWORDS,
    MULTI_RUN_KEYWORDS,
    runs_of,
    settings_of,
    together,
)


def test_what_people_bring_sets_the_fields_that_it_means() -> None:
    brought = {
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.1,
        "learning_rate": 2e-4,
        "batch_size": "auto",
        "gradient_accumulation": 4,
        "max_seq_length": 512,
        "output_dir": "out",
        "use_unsloth": False,
        "train_on_responses": True,
        "report_to": "none",
        "packing": True,
        "use_dora": True,
        "optim": "adamw_torch",
        "lr_scheduler_type": "constant_with_warmup",
        "load_in_4bit": True,
        "seed": None,  # left out
    }
    assert settings_of(brought) == {
        "lora.rank": 8,
        "lora.alpha": 16,
        "lora.dropout": 0.1,
        "training.learning_rate": 2e-4,
        "training.batch_size": "auto",
        "training.gradient_accumulation": 4,
        "model.max_length": 512,
        "run.folder": "out",
        "model.backend": "transformers",
        "tracking.to": [],
        "training.packing": "pack",
        "lora.dora": True,
        "training.optimizer": "adamw",
        "training.scheduler": "constant",
        "model.quantization": "4bit",
    }
    assert settings_of({"report_to": ["wandb"], "packing": False, "use_unsloth": True}) == {
        "tracking.to": ["wandb"],
        "training.packing": "off",
        "model.backend": "auto",
    }


@pytest.mark.parametrize("field", sorted(set(MULTI_RUN_KEYWORDS.values()) - {"", "preset"}))
def test_every_keyword_names_a_field(field: str) -> None:
    section, _, name = field.partition(".")
    dumped = load_config(None, values={"model.base": "b", "data.train": "d.jsonl"}).config
    assert name in dumped.model_dump()[section]


def test_an_unknown_keyword_is_said_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown keyword 'lora_rank'\. Did you mean lora_r\?"):
        settings_of({"lora_rank": 8})
    with pytest.raises(UserError, match="Did you mean learning_rate"):
        settings_of({"learning_rates": 1})
    with pytest.raises(UserError, match=r"multi_run\(\) takes it"):
        settings_of({"merge_mode": "slao"})
    with pytest.raises(UserError, match="overrides"):
        settings_of({"zzz": 1})
    with pytest.raises(UserError, match=r"lora_r and rank both set lora\.rank"):
        settings_of({"lora_r": 8, "rank": 16})
    with pytest.raises(UserError, match="only what the assistant wrote is learnt"):
        settings_of({"train_on_responses": False})


def test_later_settings_win() -> None:
    assert together({"training.epochs": 3}, {"training.steps": 5}) == {"training.steps": 5}
    assert together({"data.train.path": "a", "model.base": "b"}, {"data.train": "c"}) == {
        "model.base": "b",
        "data.train": "c",
    }


def test_several_datasets_are_a_run_each() -> None:
    several = settings_of({"dataset": ["a.jsonl", "b.jsonl"]}, MULTI_RUN_KEYWORDS)
    assert runs_of(several)["multi_run.by_source"] is True
    cut = settings_of({"data": ["a", "b"], "num_runs": 5, "compare": True}, MULTI_RUN_KEYWORDS)
    assert runs_of(cut) == {
        "data.train": ["a", "b"],
        "multi_run.runs": 5,
        "multi_run.compare": ["sequential", "joint"],
    }
    assert "runs" not in KEYWORDS
