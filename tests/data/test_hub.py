"""A dataset on the hub: its files are found, fetched and read; each failure is one sentence.

The hub is a server here that follows its API; the client is the real one, in a process of its own
because it reads HF_ENDPOINT as it is imported.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SHA = "a" * 40
ROWS = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(30)]


def jsonl(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


REPOSITORIES: dict[str, dict[str, bytes]] = {
    "me/plain": {
        "data/train-00000-of-00002.jsonl": jsonl(ROWS[:20]),
        "data/train-00001-of-00002.jsonl": jsonl(ROWS[20:]),
        "data/test-00000-of-00001.jsonl": jsonl(ROWS[:3]),
        "README.md": b"",
    },
    "me/chat": {
        "data/train_sft-0.jsonl": jsonl(ROWS[:7]),
        "data/test_sft-0.jsonl": jsonl(ROWS[:2]),
        "data/train_gen-0.txt": b"x",
    },
    "me/two": {"a.jsonl": jsonl(ROWS[:5]), "b.jsonl": jsonl(ROWS[5:9])},
    "me/script": {"load.py": b"import os"},
}
CARDS: dict[str, Any] = {
    "me/two": {
        "configs": [
            {"config_name": "one", "data_files": [{"split": "train", "path": "a.jsonl"}]},
            {"config_name": "other", "data_files": "b.jsonl"},
        ]
    }
}


class Hub(BaseHTTPRequestHandler):
    fetched: list[str] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "datasets"]:
            self._info("/".join(parts[2:4]), parts[4:])
        elif parts[0] == "datasets" and parts[3] == "resolve":
            self._file("/".join(parts[1:3]), "/".join(parts[5:]))
        else:
            self._say(404, b"", {})

    def _info(self, name: str, rest: list[str]) -> None:
        if name == "me/gated":
            self._say(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif name not in REPOSITORIES:
            self._say(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif rest and rest[0] == "revision" and rest[1] not in {"main", SHA}:
            self._say(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            files = [{"rfilename": file} for file in REPOSITORIES[name]]
            facts = {"id": name, "sha": SHA, "siblings": files, "cardData": CARDS.get(name)}
            self._say(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, file: str) -> None:
        data = REPOSITORIES[name][file]
        if self.command == "GET":
            self.fetched.append(file)
        self._say(200, data, {"X-Repo-Commit": SHA, "ETag": f'"{hash(data):x}"'})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


PROGRAM = """
import json, sys
from trainer_core.config.data_section import DataSource
from trainer_core.data.rows import rows_of
from trainer_core.data.sources import listed_files, open_source
from trainer_core.errors import UserError
for given in json.loads(sys.argv[1]):
    try:
        source = DataSource.model_validate(given)
        rows = [row.data for row in rows_of(open_source(source))]
        print(json.dumps({"rows": rows, "files": listed_files(source)}))
    except UserError as error:
        print(json.dumps({"error": str(error)}))
"""


def ask(endpoint: str, cache: Path, *given: Any) -> list[dict[str, Any]]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(given)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_splits_subsets_and_limits(hub: str, tmp_path: Path) -> None:
    Hub.fetched.clear()
    limited, plain, test, chat, first, other = ask(
        hub,
        tmp_path,
        {"hub": "me/plain", "limit": 5},
        {"hub": "me/plain"},
        {"hub": "me/plain", "split": "test"},
        "me/chat",
        {"hub": "me/two"},
        {"hub": "me/two", "subset": "other"},
    )
    assert limited["rows"] == ROWS[:5]
    assert plain["rows"] == ROWS
    assert plain["files"] == [f"data/train-0000{n}-of-00002.jsonl" for n in range(2)]
    assert test["rows"] == ROWS[:3]
    assert chat["rows"] == ROWS[:7]
    assert first["rows"] == ROWS[:5]
    assert other["rows"] == ROWS[5:9]
    assert Hub.fetched[0] == "data/train-00000-of-00002.jsonl"
    assert Hub.fetched.count("data/train-00000-of-00002.jsonl") == 1


def test_what_cannot_be_had(hub: str, tmp_path: Path) -> None:
    answers = ask(
        hub,
        tmp_path,
        {"hub": "me/none"},
        {"hub": "me/gated"},
        {"hub": "me/plain", "split": "tarin"},
        {"hub": "me/plain", "revision": "v9"},
        {"hub": "me/script"},
        {"hub": "me/two", "subset": "third"},
    )
    words = (
        "the hub has no dataset me/none",
        "is gated",
        "no split 'tarin'. Name one in split: test, train",
        "no revision 'v9'",
        "made by a script",
        "no subset 'third'. It has: one, other",
    )
    for answer, expected in zip(answers, words, strict=True):
        assert expected in answer["error"]


def test_no_network(tmp_path: Path) -> None:
    (answer,) = ask("http://127.0.0.1:9", tmp_path, {"hub": "me/plain"})
    assert "cannot be had from the hub" in answer["error"]
    assert "Check the connection" in answer["error"]
