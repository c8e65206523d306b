"""What `backprop export` takes, and the base it finds for it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from trainer_core.config.export_section import ExportRequest
from trainer_core.errors import UserError
from trainer_core.export.source import Source, find_source
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.trained import trained_places


def source_of(path: Path, **wishes: Any) -> Source:
    return find_source(ExportRequest(source=str(path), formats=["merged"], **wishes))


def test_a_run_gives_its_best_unless_another_is_named(trained: RunFolder) -> None:
    places = trained_places(trained)
    assert [place.name for place in places] == ["best", "last", "step-40", "step-20"]
    assert places[0].loss == min(place.loss for place in places if place.loss is not None)
    assert source_of(trained.path).folder == trained.adapter / "best"
    assert source_of(trained.path, checkpoint="last").folder == trained.adapter / "last"
    step = source_of(trained.path, checkpoint="step-20")
    assert step.folder == trained.checkpoints / "step-20"
    # A checkpoint holds weights alone; tokenizer and template are its base's.
    assert step.tokenizer == step.base
    assert step.template() == source_of(trained.path).template()


def test_a_checkpoint_that_is_not_there_is_named_with_those_that_are(trained: RunFolder) -> None:
    with pytest.raises(UserError, match=r"has no step-30.*best, last, step-40, step-20"):
        source_of(trained.path, checkpoint="step-30")


def test_a_folder_in_a_run_brings_the_run_along(trained: RunFolder) -> None:
    for path in (trained.adapter / "last", trained.checkpoints / "step-20"):
        found = source_of(path)
        assert found.folder == path
        assert found.run == trained
        assert found.config is not None


def test_a_run_of_another_version_still_has_its_weights(trained: RunFolder, demo: Path) -> None:
    text = trained.resolved.read_text()
    trained.resolved.write_text(text.replace("format: 3", "format: 2"))
    found = source_of(trained.path)
    assert (found.folder, found.config) == (trained.adapter / "best", None)
    assert found.base == (demo / "base").resolve()


def test_an_adapter_alone_knows_its_base(trained: RunFolder, tmp_path: Path, demo: Path) -> None:
    alone = tmp_path / "elsewhere"
    shutil.copytree(trained.adapter / "last", alone)
    found = source_of(alone, name="mine")
    assert (found.run, found.base, found.name) == (None, (demo / "base").resolve(), "mine")


@pytest.mark.parametrize("content", [{}, {"README.md": "hello"}])
def test_a_folder_with_nothing_in_it_is_refused(content: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    for name, text in content.items():
        (place / name).write_text(text)
    with pytest.raises(UserError, match="neither an adapter nor a model"):
        source_of(place)


@pytest.fixture
def four_bits(trained: RunFolder, demo: Path, tmp_path: Path) -> Path:
    """The trained adapter, on a base that exists in 4 bits only: `models/tiny-bnb-4bit`."""
    quantised = AutoModelForCausalLM.from_pretrained(
        demo / "base",
        dtype=torch.float32,
        quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
    )
    base = tmp_path / "models" / "tiny-bnb-4bit"
    quantised.save_pretrained(base)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(demo / "base" / name, base / name)
    adapter = tmp_path / "adapter"
    shutil.copytree(trained.adapter / "last", adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base)
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    return adapter


def test_a_quantised_base_gives_way_to_the_16_bit_one_of_its_name(
    four_bits: Path, demo: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"merging needs one of 16 bits.*--base.*--dequantize"):
        source_of(four_bits)
    shutil.copytree(demo / "base", tmp_path / "models" / "tiny")
    found = source_of(four_bits)
    assert found.base == tmp_path / "models" / "tiny"
    assert found.trained_on == tmp_path / "models" / "tiny-bnb-4bit"
    assert not found.dequantized
    assert source_of(four_bits, base=str(demo / "base")).base == (demo / "base").resolve()


def test_a_quantised_base_is_turned_back_as_bitsandbytes_does(
    four_bits: Path, demo: Path, tmp_path: Path
) -> None:
    found = source_of(four_bits, dequantize=True)
    assert found.dequantized
    bare = found.model(trained=False)
    expected = AutoModelForCausalLM.from_pretrained(tmp_path / "models" / "tiny-bnb-4bit")
    state = expected.dequantize().state_dict()
    assert "quantization_config" not in bare.config
    assert set(bare.weights.tensors) <= set(state)
    for name, facts in bare.weights.tensors.items():
        rows = bare.weights.rows(name, 0, facts.rows)
        torch.testing.assert_close(rows.float(), state[name].float(), msg=name)
    # And the adapter fits on it.
    assert found.model().weights.tensors


def test_a_base_that_has_gone_needs_another_to_be_named(
    trained: RunFolder, tmp_path: Path, demo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    adapter = tmp_path / "elsewhere"
    shutil.copytree(trained.adapter / "last", adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(tmp_path / "gone")
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"gone cannot be had.*--base"):
        source_of(adapter)
    assert source_of(adapter, base=str(demo / "base")).base == (demo / "base").resolve()
    assert "the check cannot tell" in caplog.text


def test_a_checkpoint_of_a_whole_model_has_the_tokenizer_it_began_with(
    trained: RunFolder, demo: Path
) -> None:
    step = trained.checkpoints / "step-20"
    (step / "adapter_config.json").unlink()
    shutil.copyfile(demo / "base" / "config.json", step / "config.json")
    found = source_of(trained.path, checkpoint="step-20")
    assert (found.kind, found.tokenizer) == ("model", (demo / "base").resolve())
