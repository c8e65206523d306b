"""ONNX: the same tokens, the same words, a cache; what cannot become ONNX is said before."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM

from trainer_core.errors import BackpropError, StoppedError, UserError
from trainer_core.export import onnx
from trainer_core.export.onnx import require_onnx, write_onnx
from trainer_core.export.onnx_speaker import OnnxSpeaker
from trainer_core.runs.control import Control
from trainer_core.tokens.tokenizer import load_tokenizer

TEXTS = (
    "Hello  world \n\t 1234",
    "naïve, I'm, they'LL",
    "日本語 🙂 e\u0301",
    "<|im_start|>user\nhi<|im_end|>\n",
)
PROMPT = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's model, with a tokenizer that puts a token before each text."""
    folder = tmp_path_factory.mktemp("onnx") / "merged"
    shutil.copytree(Path(__file__).parents[2] / "configs" / "demo" / "base", folder)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    piece = {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [piece, text],
        "pair": [piece, text],
        "special_tokens": {
            "<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
        },
    }
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(base: Path) -> Path:
    """It as ONNX, in 32 bits."""
    shares: list[float] = []
    write_onnx(base, base.parent / "onnx", "fp32", Control(), shares.append)
    assert shares == sorted(shares)
    return base.parent / "onnx"


def asked(folder: Path) -> list[int]:
    return load_tokenizer(folder).encode(PROMPT, special=False)


def logits(folder: Path, ids: list[int]) -> np.ndarray:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def test_same_tokens_as_the_tokenizer(base: Path, made: Path) -> None:
    tokenizer, speaker = load_tokenizer(base), OnnxSpeaker(made)
    for text in TEXTS:
        assert speaker.tokens(text) == tokenizer.encode(text, special=False), text


def test_same_words_as_transformers(base: Path, made: Path) -> None:
    ids, speaker = asked(base), OnnxSpeaker(made)
    found = speaker.logits(ids)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, logits(base, ids), atol=1e-4)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    theirs = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False)
    assert speaker.answer(ids, 24) == theirs[0, len(ids) :].tolist()
    assert speaker.answer(ids, 24)[:5] == speaker.answer(ids, 5)


def test_another_program_feeds_one_token_and_the_cache(base: Path, made: Path) -> None:
    ids = asked(base)
    session = onnxruntime.InferenceSession(made / "model.onnx")
    names = [one.name for one in session.get_inputs() if one.name.startswith("past_key_values")]
    outputs = ["logits", *(name.replace("past_key_values", "present") for name in names)]
    assert len(names) == 8  # keys and values of 4 layers

    def run(tokens: list[int], cache: list[np.ndarray]) -> list[np.ndarray]:
        known = cache[0].shape[2] + len(tokens)
        fed = {"input_ids": [tokens], "attention_mask": [[1] * known]}
        return session.run(
            outputs,
            {name: np.array(value, dtype=np.int64) for name, value in fed.items()}
            | dict(zip(names, cache, strict=True)),
        )

    _, *cache = run(ids[:-1], [np.zeros((1, 2, 0, 64), np.float32)] * len(names))
    last, *_ = run(ids[-1:], cache)
    np.testing.assert_allclose(last[0, 0], logits(base, ids)[-1], atol=1e-4)


@pytest.mark.parametrize(("onnx_precision", "close"), [("fp16", 0.05), ("int4", 2.0)])
def test_fewer_bits(base: Path, tmp_path: Path, onnx_precision: str, close: float) -> None:
    write_onnx(base, tmp_path / "onnx", onnx_precision, Control())  # type: ignore[arg-type]
    found, ids = OnnxSpeaker(tmp_path / "onnx"), asked(base)
    assert found.logits(ids).dtype == np.float32
    np.testing.assert_allclose(found.logits(ids), logits(base, ids), atol=close)


def test_stopped_in_the_middle_nothing_stays(base: Path, tmp_path: Path) -> None:
    control = Control()
    with pytest.raises(StoppedError):
        write_onnx(base, tmp_path / "onnx", "fp32", control, lambda share: control.ask("stop"))
    assert not list(tmp_path.iterdir())
    ours = [one for one in psutil.Process().children() if "onnx_process" in str(one.cmdline())]
    assert not ours


def test_the_builder_ends_with_the_job(base: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trainer_core.export.onnx_process"]
    arguments = ["-i", base, "-o", tmp_path / "onnx", "-p", "fp32", "-e", "cpu", "-c", tmp_path]
    builder = subprocess.Popen([*command, *map(str, arguments)], stdin=subprocess.PIPE)
    assert builder.stdin
    builder.stdin.close()  # as if the job had been killed
    assert builder.wait() == 1
    assert not (tmp_path / "onnx").exists()


def test_what_the_builder_says_when_it_fails(
    base: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "merged"
    shutil.copytree(base, broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(BackpropError, match=r"the ONNX builder failed: .*[Ss]afetensor"):
        write_onnx(broken, tmp_path / "onnx", "fp32", Control())
    assert [one.name for one in tmp_path.iterdir()] == ["merged"]
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM cannot be written as ONNX"),
        ({}, "a model without a name cannot be written"),
        (
            {"architectures": ["Qwen2ForCausalLM"], "rope_scaling": {"type": "yarn"}},
            "Qwen2ForCausalLM with rope of type yarn",
        ),
        (
            {
                "architectures": ["MistralForCausalLM"],
                "sliding_window": 4096,
                "max_position_embeddings": 32768,
            },
            "sliding window of 4096 tokens",
        ),
    ],
)
def test_what_cannot_become_onnx_is_named(config: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        require_onnx(config)


def test_what_can(base: Path) -> None:
    require_onnx(json.loads((base / "config.json").read_text("utf-8")))
    require_onnx(
        {
            "architectures": ["Phi3ForCausalLM"],
            "rope_parameters": {"rope_type": "longrope"},
            "sliding_window": 262144,
            "max_position_embeddings": 131072,
        }
    )


def test_missing_packages_and_how_to_add_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnx_ir" else object())
    with pytest.raises(UserError, match="needs onnx_ir, which is not installed") as caught:
        require_onnx({"architectures": ["LlamaForCausalLM"]})
    assert "make install-export" in caught.value.hint
    assert "pip install 'backprop-tui[onnx]'" in caught.value.hint
