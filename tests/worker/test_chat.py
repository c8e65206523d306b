"""The chat job over a real wire: it talks, is quiet on disk, and goes when its clients go."""

import json
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trainer_core.config.predict_section import ModelRequest
from trainer_core.config.sampling import Sampling
from trainer_core.data.chat import Said, Say
from trainer_core.data.conversations import Turn
from trainer_core.errors import BackpropError, UserError
from trainer_core.runs.events import Failed
from trainer_core.worker import client as client_module
from trainer_core.worker.chats import Chat

WORKER = Path(__file__).with_name("quick_worker.py")
SECRET = "the sphinx is in the cellar"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Iterator[Chat]:
    """The demo's base, which rambles; its folder is in one of ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("chat")))
        chat = Chat(ModelRequest(source=str(demo / "base")))
        yield chat
        chat.close()


def words(text: str, **sampling: float) -> Say:
    return Say(turns=[Turn("user", text)], sampling=Sampling(**{"max_tokens": 40, **sampling}))


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.05)


def test_an_answer_comes_in_pieces_and_nothing_of_it_is_written(chat: Chat) -> None:
    pieces: list[Said] = []
    whole = chat.say(words(SECRET, temperature=1.0, max_tokens=200), pieces.append).result(60)
    assert whole.text
    assert whole.ended
    assert all(whole.text.startswith(piece.text) for piece in pieces)
    folder = chat.folder.path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
            assert b'"reply"' not in path.read_bytes()


def test_whoever_left_finds_it_there_for_a_while(chat: Chat) -> None:
    before = chat.say(words("Hello.")).result(60)
    chat.close()
    with pytest.raises(BackpropError, match="cannot be reached"):
        chat.say(words("Hello.")).result(60)
    assert chat.return_to()
    assert chat.say(words("Hello.")).result(60).text == before.text


def test_a_long_conversation_is_sent_and_one_beyond_reason_is_refused(chat: Chat) -> None:
    with pytest.raises(BackpropError, match="the model's context is"):
        chat.say(words("word " * 100_000)).result(60)
    with pytest.raises(UserError, match="too long to ask for"):
        chat.say(words("word " * 1_000_000)).result(60)


def test_it_ends_with_its_last_client_and_its_folder_too(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "WORKER", (sys.executable, str(WORKER)))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    chat = Chat(ModelRequest(source=str(demo / "base")))
    chat.close()  # the model is still being loaded
    until(lambda: not chat.folder.path.exists(), "the end of its folder")
    assert not chat.return_to()


def test_what_cannot_be_loaded_ends_it_with_a_sentence(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UserError, match="there are no runs yet"):
        Chat(ModelRequest(source="nothing of that name"))
    broken = tmp_path / "broken"
    broken.mkdir()
    config = json.loads((demo / "base" / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config))
    chat = Chat(ModelRequest(source=str(broken)))
    answer = chat.say(words("Hello."))
    *_, last = chat.client.events(timeout=60)
    assert isinstance(last, Failed)
    assert last.cause == "user"
    assert "broken" in last.message
    assert answer.exception(60)
    chat.close()
