"""Long lists: packed at once to the same bytes as gguf's own writer makes."""

from pathlib import Path
from typing import Any

import gguf
import pytest

from trainer_core.export.gguf.writer import ListWriter


def written(kind: type, path: Path, values: list[Any]) -> bytes:
    writer = kind(None, "llama")
    writer.add_array("tokenizer.ggml.tokens", values)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    "values",
    [
        ["a", "", "naïve 🙂", "\n", "a b"],
        [1, -2, 3],
        [0.5, -1000.0, 1e-7],
        [True, False],
        [b"a", b"\xff"],
        [["a"], ["b"]],
    ],
)
def test_the_same_bytes(tmp_path: Path, values: list[Any]) -> None:
    ours = written(ListWriter, tmp_path / "ours", values)
    assert ours == written(gguf.GGUFWriter, tmp_path / "theirs", values)


@pytest.mark.parametrize("values", [[], ["a", 1]])
def test_what_gguf_refuses(tmp_path: Path, values: list[Any]) -> None:
    writer = ListWriter(None, "llama")
    writer.add_key_value("key", values, gguf.GGUFValueType.ARRAY)
    writer.write_header_to_file(tmp_path / "file")
    with pytest.raises(ValueError, match="array"):
        writer.write_kv_data_to_file()
    writer.close()
