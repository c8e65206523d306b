"""The chat job: the answers of a prediction, piece by piece, and ended when it is wished."""

import json
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.answering.small_run import ANSWERS, GREETING, LLAMA, train_small
from tests.end_to_end.real_runs import Cli, wait_for
from trainer_core.answering import chat as chat_module
from trainer_core.answering.chat import BUSY, chat
from trainer_core.answering.models import load_asked, subject_of
from trainer_core.config.predict_section import ModelRequest
from trainer_core.config.sampling import Sampling
from trainer_core.data.chat import Hush, Said, Say
from trainer_core.data.conversations import Turn
from trainer_core.runs.control import Control, Question
from trainer_core.runs.events import Event, Reply, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small(tmp_path_factory.mktemp("small"))


class Talk:
    """The job in a thread of ours, with every piece as soon as there is one. `on_piece` is called
    by the job itself, in the middle of its answer."""

    def __init__(self, request: ModelRequest, folder: Path) -> None:
        (folder / "request.json").write_text(request.model_dump_json())
        self.replies: list[Reply] = []
        self.stages: list[Stage] = []
        self.control = Control()
        self.on_piece: Callable[[], None] = lambda: None
        job = RunFolder(folder)
        self._thread = threading.Thread(
            target=chat, args=[job, Recorder(job, self._hear), self.control]
        )
        self._thread.start()

    def _hear(self, event: Event) -> None:
        if isinstance(event, Reply):
            self.replies.append(event)
            if event.part:
                self.on_piece()
        elif isinstance(event, Stage):
            self.stages.append(event)

    def ask(self, name: str, question: Say | Hush | dict[str, Any]) -> None:
        """Put a question, without waiting."""
        about = question if isinstance(question, dict) else question.model_dump()
        self.control.put_question(Question(name, about))

    def answer(self, name: str) -> Reply:
        """Wait for the end of the answer."""
        found = [reply for reply in self.replies if reply.id == name and not reply.part]
        if not found:
            assert self._thread.is_alive()
            wait_for(lambda: any(r.id == name and not r.part for r in self.replies))
        return next(reply for reply in self.replies if reply.id == name and not reply.part)

    def say(self, *words: str, **sampling: Any) -> Said:
        """A whole answer to a conversation whose turns alternate."""
        self.ask("one", self.words(*words, **sampling))
        reply = self.answer("one")
        self.replies.clear()
        assert not reply.error
        return Said.model_validate(reply.answer)

    @staticmethod
    def words(*words: str, **sampling: Any) -> Say:
        """A conversation whose turns alternate, the user first."""
        roles = ("user", "assistant")
        turns = [Turn(roles[n % 2], text) for n, text in enumerate(words)]
        return Say(turns=turns, sampling=Sampling(**{"max_tokens": 60, **sampling}))

    def end(self) -> None:
        """As when nobody is there any more."""
        self.control.ask("stop")
        self._thread.join(60)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Talk]]:
    """Starts the job for a source."""
    monkeypatch.setattr(chat_module, "PIECE_SECONDS", 0.0)
    talks: list[Talk] = []

    def talk(source: Path, **more: Any) -> Talk:
        folder = tmp_path / f"job-{len(talks)}"
        folder.mkdir()
        talks.append(Talk(ModelRequest(source=str(source), **more), folder))
        return talks[-1]

    yield talk
    for one in talks:
        one.end()


def predicted(request: ModelRequest, *words: str) -> str:
    """What a prediction job answers."""
    model = load_asked(request, subject_of(request))
    say = Talk.words(*words)
    answers = model.answers([model.ids(say.turns, ())], say.sampling, 1, Control())
    return next(made.text for _, made in answers)


@pytest.mark.parametrize("which", ["base", "best", "merged", "gguf"])
def test_it_answers_as_a_prediction_does(which: str, run: Path, start: Callable[..., Talk]) -> None:
    source, more = run, {"base": which == "base"}
    if which in {"merged", "gguf"}:
        if which == "gguf" and find_spec("llama_cpp") is None:
            pytest.skip("llama-cpp-python is not installed")
        source = exported(run, which)
    talk = start(source, **more)
    request = ModelRequest(source=str(source), **more)
    first = talk.say(GREETING)
    assert first.text == predicted(request, GREETING)
    assert (first.text == ANSWERS[GREETING]) == (which != "base")
    again = (GREETING, first.text, LLAMA)
    assert talk.say(*again).text == predicted(request, *again)
    assert talk.stages[-1].stage == "answering"
    assert ("llama.cpp" if which == "gguf" else "transformers") in talk.stages[-1].detail


def exported(run: Path, which: str) -> Path:
    """The run as merged weights or as a GGUF, made once."""
    out = run.parent / f"out-{which}"
    if not out.exists():
        more = ("-q", "f32") if which == "gguf" else ("--dtype", "float32")
        command = ("export", str(run), "-f", which, *more, "--no-check", "--output", str(out))
        Cli(run.parent).run(*command)
    return next(out.glob("*.gguf")) if which == "gguf" else out / "merged"


@pytest.mark.parametrize("which", ["best", "gguf"])
def test_pieces_grow_into_the_answer_and_never_show_half_a_letter(
    which: str, run: Path, start: Callable[..., Talk]
) -> None:
    if which == "gguf" and find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed")
    talk = start(run if which == "best" else exported(run, which))
    for prompt, answer in ANSWERS.items():
        talk.ask(prompt, talk.words(prompt))
        whole = Said.model_validate(talk.answer(prompt).answer)
        assert (whole.text, whole.ended) == (answer, "itself")
        pieces = [Said.model_validate(r.answer) for r in talk.replies if r.id == prompt and r.part]
        assert [piece.tokens for piece in pieces] == [*range(1, whole.tokens + 1)]
        for piece in pieces:
            assert whole.text.startswith(piece.text)
            assert "\N{REPLACEMENT CHARACTER}" not in piece.text
            assert piece.ended == ""
        assert len({piece.text for piece in pieces}) > 5


def test_an_answer_is_ended_in_the_middle_and_the_next_is_whole(
    run: Path, start: Callable[..., Talk]
) -> None:
    talk = start(run)

    def enough() -> None:
        if len(talk.replies) == 3:
            talk.ask("enough", Hush())
            talk.ask("other", talk.words(LLAMA))

    talk.on_piece = enough
    talk.ask("long", talk.words(GREETING))
    said = Said.model_validate(talk.answer("long").answer)
    assert said.ended == "stopped"
    assert 0 < said.tokens < 6
    assert ANSWERS[GREETING].startswith(said.text.rstrip("\N{REPLACEMENT CHARACTER}"))
    assert talk.answer("other").error == BUSY
    assert talk.answer("enough").error == ""
    talk.on_piece = lambda: None
    assert talk.say(LLAMA).text == ANSWERS[LLAMA]


def test_an_answer_that_is_ended_before_it_begins(run: Path, start: Callable[..., Talk]) -> None:
    talk = start(run)
    talk.ask("early", talk.words(GREETING))  # the model is still being loaded
    talk.ask("enough", Hush())
    said = Said.model_validate(talk.answer("early").answer)
    assert (said.text, said.ended) == ("", "stopped")


def test_what_ended_an_answer_is_said(run: Path, start: Callable[..., Talk]) -> None:
    talk = start(run)
    assert talk.say(GREETING, max_tokens=3).ended == "length"
    context = json.loads((Path(__file__).parents[2] / "configs/demo/base/config.json").read_text())
    most = context["max_position_embeddings"]
    talk.ask("long", talk.words("word " * most))
    refused = talk.answer("long").error
    assert refused.startswith("the conversation has ")
    assert f"the model's context is {most:,}. Begin a new one" in refused
    words = "word"
    while True:  # up to where there is only room for a few tokens
        talk.replies.clear()
        talk.ask("full", talk.words(words, max_tokens=10_000, temperature=9.0))
        reply = talk.answer("full")
        assert not reply.error
        said = Said.model_validate(reply.answer)
        if said.ended == "context":
            break
        words += " word" * 20
    assert said.tokens < most


def test_what_cannot_be_asked_is_a_sentence(run: Path, start: Callable[..., Talk]) -> None:
    talk = start(run)
    talk.ask("odd", {"about": "the weather"})
    assert talk.answer("odd").error == "this version does not know that question"
    hot = talk.words(LLAMA).model_dump()
    hot["sampling"]["temperature"] = -1
    talk.ask("hot", hot)
    assert talk.answer("hot").error == "temperature is -1.0, and must be 0 or more"
    assert talk.say(LLAMA).text == ANSWERS[LLAMA]


def test_a_seed_repeats_what_was_drawn(run: Path, start: Callable[..., Talk]) -> None:
    talk = start(run, base=True)
    drawn = [talk.say(LLAMA, temperature=1.5, seed=seed, max_tokens=12).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
