"""No text from data, a log, a model or a file reaches the terminal as a command, in any command."""

import json
import time
from pathlib import Path

import pytest

from tests.faults.in_process import Ended, backprop
from tests.faults.payloads import PAYLOADS, commands
from trainer_core.runs.events import (
    Answer,
    Check,
    Exported,
    Failed,
    Finished,
    Log,
    Notice,
    Progress,
    Samples,
    Spoken,
    Stage,
    State,
)
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.runs.registry import register
from trainer_core.runs.status import new_status, write_status

ALL = list(PAYLOADS.values())
EACH = pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())


def harmless(ended: Ended) -> str:
    """What a command printed, in which a terminal finds nothing to obey. It can be encoded too."""
    assert ended.escaped is None
    shown = ended.out + ended.err
    assert commands(shown) == []
    shown.encode()
    return shown


def plain(payload: str) -> str:
    """A payload that a line of a text file can hold."""
    return payload.replace("\r", "").encode("utf-8", "replace").decode()


@EACH
def test_rows(payload: str, tmp_path: Path) -> None:
    """In contents, names of columns, names of files; what is garbage is named by its number."""
    name = payload.replace("/", "").replace("\0", "")
    file = tmp_path / f"{name.encode('utf-8', 'replace').decode()}.jsonl"
    pairs = [
        {"question": f"ask {payload}", "answer": f"say {payload}"},
        {"question": "a", "answer": "b", payload: payload},
        {"messages": [{"role": payload, "content": payload}]},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in pairs))
    said = harmless(backprop(["data", str(file), "--set", "data.workers=1"]))
    assert "problems" in said
    harmless(backprop(["data", str(file), "--json", "--set", "data.workers=1"]))
    harmless(backprop(["data", str(file), "--list-files"]))
    file.write_text(json.dumps({payload: payload}) + "\n")
    assert "the format is not known" in harmless(backprop(["data", str(file)]))
    file.write_text("")
    assert "has no rows" in harmless(backprop(["data", str(file)]))


@pytest.mark.parametrize("payload", [" ".join(ALL[at::4]) for at in range(4)])
def test_configs(payload: str, tmp_path: Path) -> None:
    """In keys, values, names of files and of presets; also where a config is mended."""
    payload = plain(payload)
    file = tmp_path / "run.yaml"
    for text in (
        f"model: {{base: b}}\ndata: {{train: d}}\n{json.dumps(payload)}: 1\n",
        f"model: {{base: b}}\ndata: {{train: d}}\ntraining: {{optimizer: {json.dumps(payload)}}}\n",
        f"model: {{base: {json.dumps(payload)}}}\ndata: {{train: {json.dumps(payload)}}}\n",
        f"preset: {json.dumps(payload)}\nmodel: {{base: b}}\n",
        f"about: {{title: {json.dumps(payload)}}}\n",
        payload,
    ):
        file.write_text(text, encoding="utf-8")
        for command in (["config", "check"], ["config", "fix"], ["plan"], ["config", "presets"]):
            harmless(backprop([*command, str(file)]))
    harmless(backprop(["config", "check", str(tmp_path / payload.replace("\0", ""))]))
    harmless(backprop(["config", "explain", payload]))
    harmless(backprop(["train", "--set", payload, "--model", payload, "--data", payload]))
    harmless(backprop(["runs"]))
    harmless(backprop(["stop", payload]))
    harmless(backprop(["export", payload, "--format", payload]))


@EACH
@pytest.mark.parametrize("json_lines", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("ended_well", [True, False], ids=["finished", "failed"])
def test_runs(payload: str, json_lines: bool, ended_well: bool, tmp_path: Path) -> None:
    """In everything that a job says, and in the list of runs."""
    text = payload.encode("utf-8", "replace").decode()
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.config.write_text("model: {base: b}\n")
    status = new_status(f"id {text}", "train", f"model {text}", f"data {text}")
    recorder = Recorder(folder, lambda event: None)
    for event in (
        Stage(stage=f"stage {text}", detail=text),
        Progress(stage=text, done=1, total=2, unit=text),
        Log(level="WARNING", message=f"log {text}", logger=text),
        Notice(message=f"notice {text}", hint=text),
        State(message=text),
        Samples(when="after", step=0, answers=[Answer(prompt=text, answer=text)]),
        Exported(
            format=text,
            path=text,
            size=1,
            seconds=1,
            commands=[text],
            check=Check(
                runtime=text,
                measures=[],
                differs=text,
                spoken=[Spoken(prompt=text, trained=text, exported=text)],
            ),
        ),
        Finished(outcome="finished", step=1, elapsed=1, saved=text, message=text, commands=[text])
        if ended_well
        else Failed(message=f"because {text}", hint=text),
    ):
        recorder.record(event)
    recorder.close()
    status.state, status.message = ("finished" if ended_well else "failed"), text
    status.created = time.time()
    write_status(folder, status)
    register(status.run, folder)
    how = ["--json"] if json_lines else ["--headless"]
    said = harmless(backprop(["attach", str(folder.path), *how]))
    assert "notice" in said
    assert "id" in harmless(backprop(["runs", *(["--json"] if json_lines else [])]))
    shown = harmless(backprop(["runs", "show", str(folder.path), *how[:json_lines]]))
    harmless(backprop(["runs", "diff", *[str(folder.path)] * 2, *how[:json_lines]]))
    if json_lines:  # escaped, and yet the same
        assert json.loads(shown)["id"] == status.run
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        assert any(event.get("detail") == text for event in events)
