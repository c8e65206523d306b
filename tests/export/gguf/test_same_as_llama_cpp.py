"""What is written is, bit by bit, what llama.cpp's own converter writes; that was recorded by
scripts/record_llama_cpp.py."""

import json
from pathlib import Path

import pytest

from tests.export.gguf.reading import keys, tensors
from tests.export.gguf.tiny_models import TINY

RECORD = json.loads(Path(__file__).with_name("llama_cpp.json").read_text(encoding="utf-8"))
# Said by one side only, and what llama.cpp takes where it is not said.
DEFAULTS = {"tokenizer.ggml.add_eos_token": False, "tokenizer.ggml.add_sep_token": False,
            "tokenizer.ggml.add_space_prefix": True}  # fmt: skip


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16", "q8_0"])
@pytest.mark.parametrize("name", TINY)
def test_every_tensor_is_the_same(name, kind, tiny_gguf):
    assert tensors(tiny_gguf(name, kind)) == RECORD["models"][name]["tensors"][kind]


@pytest.mark.parametrize("name", TINY)
def test_every_key_is_the_same(name, tiny_gguf):
    ours, theirs = keys(tiny_gguf(name, "f32")), RECORD["models"][name]["keys"]
    for key, value in DEFAULTS.items():
        if key in ours or key in theirs:
            ours.setdefault(key, value)
            theirs.setdefault(key, value)
    assert ours == theirs
