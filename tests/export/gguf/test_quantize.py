"""The smaller types run in llama.cpp and answer nearly like the whole model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.export.gguf.tiny_models import opened
from trainer_core.config.export_section import WRITTEN_HERE
from trainer_core.errors import BackpropError, UserError
from trainer_core.export.gguf.llama import LlamaSpeaker
from trainer_core.export.gguf.quantize import quantize
from trainer_core.export.gguf.write import gguf_size, write_gguf

K_QUANTS = ["q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"]
PROMPT = "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The demo's base in F16."""
    target = tmp_path_factory.mktemp("whole") / "whole.gguf"
    folder = Path(__file__).parents[3] / "configs" / "demo" / "base"
    write_gguf(opened(folder), target, "f16", lambda _: None)
    return target


def expectations(path: Path) -> np.ndarray:
    """The probabilities after a prompt: [vocabulary]."""
    with LlamaSpeaker(path, context=64) as speaker:
        logits = speaker.logits(speaker.tokens(PROMPT))[-1].astype(np.float64)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def divergence(true: np.ndarray, other: np.ndarray) -> float:
    return float((true * np.log(np.maximum(true, 1e-12) / np.maximum(other, 1e-12))).sum())


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("q2_k", 0.7), ("q3_k_m", 0.3), ("q4_k_s", 0.2), ("q4_k_m", 0.2), ("q5_k_m", 0.1),
     ("q6_k", 0.05)],
)  # fmt: skip
def test_k_quants_run_and_answer(kind, limit, whole, tmp_path):
    assert quantize(whole, tmp_path / "k.gguf", kind, threads=2) == []
    assert (tmp_path / "k.gguf").stat().st_size < 0.6 * whole.stat().st_size
    assert divergence(expectations(whole), expectations(tmp_path / "k.gguf")) < limit


@pytest.mark.parametrize(
    ("kind", "limit"),
    [("bf16", 1e-3), ("q8_0", 0.01), ("q5_1", 0.1), ("q5_0", 0.1), ("q4_1", 0.2), ("q4_0", 0.3),
     ("mxfp4", 0.7), ("tq1_0", 9), ("tq2_0", 9)],
)  # fmt: skip
def test_the_types_written_here_run_and_answer(kind, limit, whole, demo, tmp_path):
    model = opened(demo / "base")
    write_gguf(model, tmp_path / "o.gguf", kind, lambda _: None)
    assert divergence(expectations(whole), expectations(tmp_path / "o.gguf")) < limit
    size = (tmp_path / "o.gguf").stat().st_size
    assert size <= gguf_size(model, kind) < size + 60_000


def test_every_type_is_made_by_one_of_the_two(whole, tmp_path):
    for kind in WRITTEN_HERE:
        with pytest.raises(UserError, match="is no K-quant"):
            quantize(whole, tmp_path / "k.gguf", kind)
    assert not WRITTEN_HERE.intersection(K_QUANTS)


def test_rows_that_cannot_be_cut_into_blocks_are_said(tiny_gguf, tmp_path):
    notes = quantize(tiny_gguf("mistral", "f16"), tmp_path / "k.gguf", "q4_k_m")
    assert "no multiple of 256" in notes[0]
    assert expectations(tmp_path / "k.gguf").sum() == pytest.approx(1)


def test_a_stop_in_the_middle_ends_llama_cpp(whole, tmp_path):
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(whole, tmp_path / "k.gguf", "q4_k_m", tell=stop)
    assert seen[0] == (0, 0)
    assert 0 < seen[-1][0] <= seen[-1][1] == 38


def test_a_file_that_is_no_gguf_fails_with_a_sentence(tmp_path, capfd):
    (tmp_path / "no.gguf").write_bytes(b"nothing of the kind")
    with pytest.raises(BackpropError, match=r"could not make q4_k_m of no\.gguf"):
        quantize(tmp_path / "no.gguf", tmp_path / "k.gguf", "q4_k_m")
    assert capfd.readouterr() == ("", "")


def test_without_llama_cpp_the_sentence_says_how_to_add_it(tmp_path):
    script = (
        "import sys; sys.modules['llama_cpp'] = None\n"
        "from trainer_core.export.gguf.quantize import require_llama_cpp\n"
        "from trainer_core.errors import UserError\n"
        "try: require_llama_cpp()\n"
        "except UserError as error: print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "make install-export" in said.stdout
    assert "-DGGML_NATIVE=OFF" in said.stdout
