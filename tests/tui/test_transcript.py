"""A transcript is asked again as it was asked, tool calls and all."""

from pathlib import Path

from trainer_core.config.predict_section import ModelRequest
from trainer_core.config.sampling import Sampling
from trainer_core.data.asked import asked_in_file
from trainer_core.data.chat import Said
from trainer_core.data.conversations import Turn
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.transcripts import keep, transcript_of
from tui.try_found import Answerer
from tui.try_side import Exchange, Prompt

CLOCK = {"type": "function", "function": {"name": "clock", "parameters": {}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": {"at": "sea"}}}
TALK = (
    Turn("system", "Be short."),
    Turn("user", "How late is it?"),
    Turn("assistant", "", {"tool_calls": [CALL]}),
    Turn("tool", "12:00", {"tool_call_id": "c1", "name": "clock"}),
)


def test_what_was_asked_can_be_asked_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    model = Answerer("last", "", ModelRequest(source=str(tmp_path)))
    prompts = [
        (TALK, Prompt(TALK[-1], TALK[:-1], (CLOCK,), "Noon.", "rows.jsonl:1")),
        ((Turn("user", "Hello."),), Prompt(Turn("user", "Hello."))),
    ]
    for turns, prompt in prompts:
        said = Said(text="Noon", tokens=2, seconds=1.0, ended="itself")
        keep(run, Exchange(model, prompt, Sampling(), "one", turns, said).facts())
    first, second = asked_in_file(transcript_of(run))
    assert (first.turns, first.tools, first.expected) == (TALK, (CLOCK,), "Noon.")
    assert (second.prompt, second.tools, second.expected) == ("Hello.", (), None)
