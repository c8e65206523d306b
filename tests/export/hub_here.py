"""A server on the loopback that follows the hub's API as far as an upload goes: a repository is
made, files are announced, large ones are put where the hub says, and one commit makes them seen."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_a-token-of-the-tests"


class HubHere:
    """`refuse` maps a word in a path to the status that is answered there. `files` is what the
    repository shows, `stored` what lies in its large storage."""

    def __init__(self) -> None:
        self.refuse: dict[str, int] = {}
        self.repositories: dict[str, dict[str, Any]] = {}
        self.stored: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubHere":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(hub: HubHere) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_PUT(self) -> None:
            data = self._body()
            digest = self.path.rpartition("/")[2]
            right = hashlib.sha256(data).hexdigest() == digest
            if right:
                hub.stored[digest] = data
            self._say(200 if right else 400)

        def do_GET(self) -> None:
            self._say(404, {"error": "Repository not found"})

        def do_POST(self) -> None:
            data = self._body()
            for word, status in hub.refuse.items():
                if word in self.path:
                    self._say(status, {"error": f"no, {self.headers['Authorization']}"})
                    return
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self._say(401, {"error": "Invalid username or password."})
            elif self.path == "/api/repos/create":
                self._create(json.loads(data))
            elif self.path == "/api/validate-yaml":
                self._say(200, {"errors": [], "warnings": []})
            elif "/preupload/" in self.path:
                self._announce(json.loads(data))
            elif self.path.endswith("/objects/batch"):
                self._batch(json.loads(data))
            elif "/commit/" in self.path:
                self._commit([json.loads(line) for line in data.splitlines()])

        def _create(self, asked: dict[str, Any]) -> None:
            name = f"{asked['organization']}/{asked['name']}"
            known = name in hub.repositories
            hub.repositories.setdefault(name, asked)
            url = {"url": f"{hub.url}/{name}"}
            self._say(409 if known else 200, url | ({"error": "exists"} if known else {}))

        def _announce(self, asked: dict[str, Any]) -> None:
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] > 1000 else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in asked["files"]
            ]
            self._say(200, {"files": files})

        def _batch(self, asked: dict[str, Any]) -> None:
            objects = []
            for file in asked["objects"]:
                found = dict(file)
                if file["oid"] not in hub.stored:
                    found["actions"] = {"upload": {"href": f"{hub.url}/storage/{file['oid']}"}}
                objects.append(found)
            self._say(200, {"transfer": "basic", "objects": objects})

        def _commit(self, lines: list[dict[str, Any]]) -> None:
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    hub.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    hub.files[value["path"]] = hub.stored[value["oid"]]
            self._say(200, {"commitUrl": f"{hub.url}{self.path[11:]}", "commitOid": "a" * 40})

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _say(self, status: int, body: dict[str, Any] | None = None) -> None:
            data = json.dumps(body or {}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
