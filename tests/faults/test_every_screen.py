"""No byte of what data, logs, names and configs hold reaches the terminal as a command, on any
screen: all that the dashboard writes into a real terminal is looked through."""

import json

import pytest

from tests.end_to_end.real_runs import DEMO, Cli
from tests.end_to_end.terminal import Terminal
from tests.faults.how_many import some
from tests.faults.payloads import NEVER_WRITTEN, PAYLOADS
from trainer_core.runs.events import Answer, Failed, Log, Notice, Samples, Stage
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.registry import register
from trainer_core.runs.status import new_status, write_status

# What a file of UTF-8 can hold.
TEXTS = [text.encode("utf-8", "replace").decode() for text in PAYLOADS.values()]
# And what YAML can, which has no halves of a character.
PROMPTS = [text for text in TEXTS if max(text) < "\U00010000"]
# Keys of each screen that show more of it.
KEYS = {"1": "jk", "2": "vv", "3": "jvpjj", "4": "s", "5": "j", "6": "vvj", "7": "j"}
# What each shows before its keys, and what the Try screen shows after them.
SHOWN = {"1": "named", "2": "training", "3": "ask", "6": "not loaded yet", "7": "CPU"}
ASKED = {"6": "expected"}


def lay(cli: Cli) -> RunFolder:
    """A run that failed, with every payload wherever a run can have text from outside."""
    folder = RunFolder(cli.folder / "run")
    folder.path.mkdir()
    rows = cli.folder / "rows.jsonl"
    pairs = [{"question": f"ask {text}", "answer": f"say {text}"} for text in TEXTS]
    rows.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    folder.config.write_text(
        f"model: {{base: {json.dumps(str(DEMO / 'base'))}}}\n"
        f"data: {{train: {json.dumps(str(rows))}}}\n"
        f"training:\n  sample_prompts: {json.dumps(PROMPTS)}\n"
    )
    status = new_status("named " + " ".join(TEXTS), "train", " ".join(TEXTS), " ".join(TEXTS))
    status.state, status.message = "failed", " ".join(TEXTS)
    recorder = Recorder(folder, lambda _: None)
    for text in TEXTS:
        recorder.record(Stage(stage="training", detail=text))
        recorder.record(Log(level="WARNING", message=f"log {text}", logger=text))
        recorder.record(Notice(message=f"notice {text}", hint=text))
    answers = [Answer(prompt=text, answer=text) for text in TEXTS]
    recorder.record(Samples(when="after", step=0, answers=answers))
    recorder.record(Failed(message=f"because {' '.join(TEXTS)}", hint=TEXTS[0]))
    recorder.close()
    write_status(folder, status)
    register(status.run, folder)
    return folder


@pytest.mark.parametrize("size", some([(80, 24), (160, 50)], 2))
def test_no_screen_writes_a_command_of_a_payload(
    cli: Cli, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", cli.environment["XDG_STATE_HOME"])
    folder = lay(cli)
    terminal = Terminal(cli, "attach", str(folder.path), size=size)
    terminal.shows("because")
    for page, keys in KEYS.items():
        terminal.send(page)
        terminal.shows(SHOWN.get(page, "Runs"))
        for key in keys:
            terminal.send(key)
            terminal.read()
        terminal.shows(ASKED.get(page, "Runs"))
    terminal.send("4")
    terminal.shows("because")
    written = terminal.written
    terminal.send("q")
    terminal.ended()
    assert [payload for payload in NEVER_WRITTEN if payload in written] == []
    assert b"MarkupError" not in written
