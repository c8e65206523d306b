"""Tiny models, each made once, and GGUFs of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.export.gguf.tiny_models import make, opened
from trainer_core.config.export_section import GgufType
from trainer_core.export.gguf.write import write_gguf

MakeModel = Callable[[str], Path]
MakeGguf = Callable[[str, GgufType], Path]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """The folder of a tiny model, by its name."""
    place = tmp_path_factory.mktemp("tiny")
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = make(name, place / name)
        return made[name]

    return folder


@pytest.fixture(scope="session")
def tiny_gguf(tiny: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> MakeGguf:
    """A tiny model as GGUF, by its name and type."""
    place = tmp_path_factory.mktemp("gguf")

    def path(name: str, kind: GgufType) -> Path:
        target = place / f"{name}-{kind}.gguf"
        if not target.exists():
            write_gguf(opened(tiny(name)), target, kind, lambda _: None)
        return target

    return path


@pytest.fixture(scope="session")
def ggml_strings(shared: Path) -> list[str]:
    """The 47 strings that llama.cpp tests tokenizers with."""
    text = (shared / "tokenizers" / "qwen2" / "ggml-vocab-qwen2.gguf.inp").read_text("utf-8")
    return text.split("\n__ggml_vocab_test__\n")
