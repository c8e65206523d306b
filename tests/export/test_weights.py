"""Weight files that are cut off, lie, or are of another kind end as one sentence."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from trainer_core.errors import UserError
from trainer_core.export.weights import ADAPTER, SafetensorsFolder


def test_rows_are_what_was_saved(tmp_path: Path) -> None:
    saved = {
        "a": torch.randn(7, 3, dtype=torch.bfloat16),
        "b": torch.arange(5, dtype=torch.int64),
        "c": torch.tensor(2.5),
        "d": torch.empty(0, 4),
    }
    save_file(saved, tmp_path / "model.safetensors")
    weights = SafetensorsFolder(tmp_path)
    assert torch.equal(weights.rows("a", 2, 5), saved["a"][2:5])
    assert torch.equal(weights.rows("b", 0, 5), saved["b"])
    assert weights.rows("c", 0, 1) == 2.5
    assert weights.rows("d", 0, 0).shape == (0, 4)


def _header(entry: object, data: bytes = b"\0" * 16) -> bytes:
    text = json.dumps({"w": entry}).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 10) + b"not json!!",
        struct.pack("<Q", 40_000) + b"[" * 40_000,
        _header({"dtype": "F32", "shape": [4], "data_offsets": [0, 160]}),
        _header({"dtype": "F32", "shape": [400], "data_offsets": [0, 1600]}),
        _header({"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}),
        _header({"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]}),
        _header({"dtype": "F99", "shape": [4], "data_offsets": [0, 16]}),
        _header({"shape": [4]}),
        _header([1, 2]),
        _header({"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]}),
        _header({"dtype": "F32", "shape": [True, 4], "data_offsets": [0, 16]}),
        _header({"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 16]}),
        _header({"dtype": "F32", "shape": [1] * 1000, "data_offsets": [0, 4]}),
        _header({"dtype": "F32", "shape": "4", "data_offsets": [0, 16]}),
    ],
)
def test_broken_files_are_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a whole safetensors file"):
        SafetensorsFolder(tmp_path)


def test_tensors_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    text = json.dumps({"a": entry, "b": entry}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 16)
    with pytest.raises(UserError, match="lie over each other"):
        SafetensorsFolder(tmp_path)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(UserError, match="no weights as safetensors"):
        SafetensorsFolder(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model-2.safetensors", "lacks model-2.safetensors"),
        ("../../secret.safetensors", "no file of its folder"),
        ("/etc/passwd", "no file of its folder"),
        ("sub/model.safetensors", "no file of its folder"),
        ("..", "no file of its folder"),
        ("a\0b", "no file of its folder"),
        (3, "no file of its folder"),
        (["a"], "names no files"),
    ],
)
def test_an_index_names_files_of_its_own_folder(name: object, words: str, tmp_path: Path) -> None:
    index = {"weight_map": {"w": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=words):
        SafetensorsFolder(tmp_path)


def test_what_lies_beside_weights_is_not_read(tmp_path: Path) -> None:
    """A checkpoint has an optimizer, and what it keeps is called after numbers of parameters."""
    save_file({"w": torch.zeros(2)}, tmp_path / "model.safetensors")
    save_file({"lora": torch.zeros(2)}, tmp_path / "adapter_model.safetensors")
    save_file({"0/exp_avg": torch.zeros(2)}, tmp_path / "optimizer.safetensors")
    assert list(SafetensorsFolder(tmp_path).tensors) == ["w"]
    assert list(SafetensorsFolder(tmp_path, ADAPTER).tensors) == ["lora"]
