"""An export goes to the hub in one commit, without what is the job's own; the hub is a server here
that follows its API, the client is the real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.export.hub_here import TOKEN, HubHere
from trainer_core.errors import BackpropError, StoppedError, UserError
from trainer_core.export.push import push

CARD = "---\ntags:\n- backprop\n---\n\n# hen\n"
PUBLIC = {
    "README.md": CARD.encode(),
    "Modelfile": b"FROM ./hen-Q8_0.gguf\n",
    "hen-Q8_0.gguf": b"GGUF" + bytes(5000),
    "adapter/adapter_model.safetensors": bytes(range(256)) * 8,
    "adapter/adapter_config.json": b"{}",
    "onnx/model.onnx": b"onnx",
}
# What the export made this time; an older file beside it is not meant.
MADE = ["hen-Q8_0.gguf", "adapter", "onnx"]
OWN = (
    "hen-F16.gguf",
    "status.json",
    "lock",
    "events.jsonl",
    "worker.log",
    "request.json",
    "check.json",
    "curves/loss.f64",
    "failed/hen-Q4_0.gguf",
    ".partial/merged/model.safetensors",
)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    for name, data in [*PUBLIC.items(), *((name, b"a row of the data") for name in OWN)]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubHere]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its storage speaks no plain HTTP
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with HubHere() as here:
        monkeypatch.setenv("HF_ENDPOINT", here.url)
        yield here


def silent(done: int, total: int) -> None:
    pass


def test_what_others_are_meant_to_have(export: Path, hub: HubHere) -> None:
    told: list[tuple[int, int]] = []
    url = push(export, "me/hen", MADE, lambda *step: told.append(step))
    assert url == f"{hub.url}/me/hen"
    assert hub.repositories["me/hen"]["visibility"] == "private"
    assert hub.files == PUBLIC
    total = sum(len(data) for data in PUBLIC.values())
    assert told[0] == (0, total)
    assert told[-1] == (total, total)
    assert len(told) == 1 + len(PUBLIC)


def test_once_more(export: Path, hub: HubHere) -> None:
    push(export, "me/hen", MADE, silent)
    (export / "README.md").write_text(CARD + "More.\n", encoding="utf-8")
    push(export, "me/hen", MADE, silent)
    assert hub.files["README.md"].endswith(b"More.\n")


def test_a_stop_in_the_middle_shows_nothing(export: Path, hub: HubHere) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise StoppedError("stopped")

    with pytest.raises(StoppedError):
        push(export, "me/hen", MADE, stop)
    assert not hub.files


@pytest.mark.parametrize("token", ["", "  "])
def test_no_token(export: Path, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """A login that is stored on this machine is not used."""
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(UserError, match="HF_TOKEN is not set"):
        push(export, "me/hen", MADE, silent)


@pytest.mark.parametrize(
    ("where", "status", "sentence"),
    [
        ("create", 401, "does not know the token in HF_TOKEN"),
        ("create", 403, "may not write to me/hen"),
        ("create", 404, "has no me/hen, or the token in HF_TOKEN may not see it"),
        ("preupload", 403, "may not write to me/hen"),
        ("commit", 400, r"refuses the upload \(400\): no, Bearer …"),
        ("batch", 403, "may not write to me/hen"),
    ],
)
def test_refused(export: Path, hub: HubHere, where: str, status: int, sentence: str) -> None:
    hub.refuse = {where: status}
    with pytest.raises(BackpropError, match=sentence) as raised:
        push(export, "me/hen", MADE, silent)
    assert TOKEN not in str(raised.value)
    assert not hub.files


def test_another_token(export: Path, hub: HubHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    with pytest.raises(BackpropError, match="does not know the token"):
        push(export, "me/hen", MADE, silent)


def test_no_network(export: Path, hub: HubHere, monkeypatch: pytest.MonkeyPatch) -> None:
    with HubHere() as gone:
        monkeypatch.setenv("HF_ENDPOINT", gone.url)
    with pytest.raises(BackpropError, match=r"the hub cannot be reached.*What was exported stays"):
        push(export, "me/hen", MADE, silent)
