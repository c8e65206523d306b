"""A dataset on the hub: its files are found, fetched and read; each failure is one sentence.

The hub is a server here that follows its API; the client is the real one, in a process of its own
because it reads HF_ENDPOINT as it is imported.
"""

import gzip
import io
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
SHA, CONVERTED_SHA = "a" * 40, "b" * 40
ROWS = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(30)]


def jsonl(rows: list[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(count: int) -> bytes:
    """Some rows; each has much that does not compress."""
    file = io.BytesIO()
    noise = random.Random(0)
    columns = {
        "question": [f"q{n}" for n in range(count)],
        "answer": [f"a{n}" for n in range(count)],
        "noise": [noise.randbytes(20).hex() for _ in range(count)],
    }
    pq.write_table(pa.table(columns), file, row_group_size=2_000)
    return file.getvalue()


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
    "me/large": {"train.parquet": parquet(200_000), "train-2.jsonl": b"{nope"},
    "me/lines": {"train.jsonl.gz": gzip.compress(jsonl(ROWS)), "z.jsonl": b"never read"},
    "me/two": {"a.jsonl": jsonl(ROWS[:5]), "b.jsonl": jsonl(ROWS[5:9])},
    "me/locked": {"train.parquet": b"", "test.jsonl.gz": b""},
    "me/bare": {"README.md": b""},
    "me/script": {"load.py": b"import os"},
    "me/converted": {"load.py": b"import os"},
}
# What the hub itself makes of some of them.
CONVERTED: dict[str, dict[str, bytes]] = {
    "me/converted": {
        "default/train/0000.parquet": parquet(30),
        "default/partial-test/0000.parquet": parquet(3),
        "other/train/0000.parquet": parquet(7),
    }
}
CARDS: dict[str, Any] = {
    "me/bare": {"configs": []},
    "me/two": {
        "configs": [
            {"config_name": "one", "data_files": [{"split": "train", "path": "a.jsonl"}]},
            {"config_name": "other", "data_files": "b.jsonl"},
        ]
    },
}


def files_of(name: str, revision: str) -> dict[str, bytes]:
    return CONVERTED[name] if revision == CONVERTED_SHA else REPOSITORIES[name]


class Hub(BaseHTTPRequestHandler):
    fetched: list[str] = []
    sent = 0

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = unquote(self.path.split("?")[0]).strip("/").split("/")
        if parts[:2] == ["api", "datasets"] and parts[4:5] == ["tree"]:
            self._tree("/".join(parts[2:4]), parts[5], "/".join(parts[6:]))
        elif parts[:2] == ["api", "datasets"]:
            self._info("/".join(parts[2:4]), "/".join(parts[5:]) or "main")
        elif parts[0] == "datasets" and parts[3] == "resolve":
            self._file("/".join(parts[1:3]), parts[4], "/".join(parts[5:]))
        else:
            self._say(404, b"", {})

    def _info(self, name: str, revision: str) -> None:
        sha = CONVERTED_SHA if revision in {"refs/convert/parquet", CONVERTED_SHA} else SHA
        if name == "me/gated":
            self._say(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif name not in REPOSITORIES:
            self._say(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in {"main", SHA} and not (sha == CONVERTED_SHA and name in CONVERTED):
            self._say(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            files = [{"rfilename": file} for file in files_of(name, sha)]
            facts = {"id": name, "sha": sha, "siblings": files, "cardData": CARDS.get(name)}
            self._say(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})

    def _tree(self, name: str, revision: str, folder: str) -> None:
        entries = [
            {"type": "file", "path": file, "size": len(data) or 999, "oid": "0"}
            for file, data in files_of(name, revision).items()
            if file.rpartition("/")[0] == folder
        ]
        self._say(200, json.dumps(entries).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, file: str) -> None:
        if name == "me/locked":  # its files only
            self._say(403, b"{}", {"X-Error-Code": "GatedRepo"})
            return
        data = files_of(name, revision)[file]
        headers = {"X-Repo-Commit": revision, "ETag": f'"{hash(data):x}"'}
        if self.command == "GET":
            self.fetched.append(file)
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if wanted:
            first, last = (int(number) for number in wanted.split("-"))
            whole, data = len(data), data[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{first + len(data) - 1}/{whole}"
        if self.command == "GET":
            type(self).sent += len(data)
        self._say(206 if wanted else 200, data, headers)

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
        "XDG_CACHE_HOME": str(cache),
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
    plain, test, chat, first, other = ask(
        hub,
        tmp_path,
        {"hub": "me/plain"},
        {"hub": "me/plain", "split": "test"},
        "me/chat",
        {"hub": "me/two"},
        {"hub": "me/two", "subset": "other"},
    )
    assert plain["rows"] == ROWS
    assert plain["files"] == [f"data/train-0000{n}-of-00002.jsonl" for n in range(2)]
    assert test["rows"] == ROWS[:3]
    assert chat["rows"] == ROWS[:7]
    assert first["rows"] == ROWS[:5]
    assert other["rows"] == ROWS[5:9]
    assert Hub.fetched[0] == "data/train-00000-of-00002.jsonl"
    assert Hub.fetched.count("data/train-00000-of-00002.jsonl") == 1


def test_with_a_limit_no_more_is_fetched_than_the_rows_need(hub: str, tmp_path: Path) -> None:
    Hub.sent = 0
    whole = len(REPOSITORIES["me/large"]["train.parquet"])
    large, lines = ask(
        hub, tmp_path, {"hub": "me/large", "limit": 500}, {"hub": "me/lines", "limit": 7}
    )
    assert [row["answer"] for row in large["rows"]] == [f"a{n}" for n in range(500)]
    assert lines["rows"] == ROWS[:7]
    assert whole > 8 << 20
    assert Hub.sent < whole / 2
    kept = Hub.sent
    assert ask(hub, tmp_path, {"hub": "me/large", "limit": 500}) == [large]
    assert Hub.sent == kept


def test_where_only_the_hub_s_own_copy_can_be_read(hub: str, tmp_path: Path) -> None:
    train, test, other, wrong = ask(
        hub,
        tmp_path,
        {"hub": "me/converted"},
        {"hub": "me/converted", "split": "test"},
        {"hub": "me/converted", "subset": "other", "limit": 5},
        {"hub": "me/converted", "subset": "another"},
    )
    assert [row["answer"] for row in train["rows"]] == [f"a{n}" for n in range(30)]
    assert len(test["rows"]) == 3
    assert [row["answer"] for row in other["rows"]] == [f"a{n}" for n in range(5)]
    assert "no subset 'another'. It has: default, other" in wrong["error"]


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
        {"hub": "me/locked", "limit": 5},
        {"hub": "me/locked", "split": "test", "limit": 5},
        {"hub": "me/bare", "limit": 5},
    )
    words = (
        "the hub has no dataset me/none",
        "is gated",
        "no split 'tarin'. Name one in split: test, train",
        "no revision 'v9'",
        "made by a script",
        "no subset 'third'. It has: one, other",
        "the dataset me/locked is gated",
        "the dataset me/locked is gated",
        "no files that can be read here",
    )
    for answer, expected in zip(answers, words, strict=True):
        assert expected in answer["error"]


def test_no_network(tmp_path: Path) -> None:
    (answer,) = ask("http://127.0.0.1:9", tmp_path, {"hub": "me/plain"})
    assert "cannot be had from the hub" in answer["error"]
    assert "Check the connection" in answer["error"]
