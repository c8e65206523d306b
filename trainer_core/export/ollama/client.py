"""Ollama's HTTP API, as much of it as making a model takes.

Source: docs/api.md and server/routes.go of Ollama. Its own Python client sends blobs without asking
whether they are there and without progress, knows no version, and follows redirects to other hosts;
so this speaks HTTP itself.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from trainer_core.errors import BackpropError
from trainer_core.export.ollama.host import Address
from trainer_core.text import one_line, size

# What is being done, how much of it is done, and of how much if that is known.
Tell = Callable[[str, int, int | None], None]
_BLOCK = 1 << 20
# Ollama says nothing while it reads a file that it was sent; of a large one for minutes.
_TIMES = httpx.Timeout(900.0, connect=5.0)
_FULL = ("no space left", "disk full", "not enough space", "disk quota")


class OllamaClient:
    """Speaks to one server. Every trouble is a BackpropError with one sentence and a way out."""

    def __init__(self, address: Address) -> None:
        self.address = address
        # A proxy has no business between this machine and itself.
        self._http = httpx.Client(
            base_url=address.url,
            timeout=_TIMES,
            trust_env=not address.here,
            follow_redirects=False,
        )

    def __enter__(self) -> "OllamaClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def version(self) -> str:
        """The server's version."""
        return str(self._answer("GET", "/api/version").get("version", ""))

    def show(self, name: str) -> dict[str, Any] | None:
        """What Ollama knows of a model; None if it has none of that name."""
        with self._spoken():
            response = self._http.post("/api/show", json={"model": name})
        return None if response.status_code == 404 else _json(response)

    def send(self, path: Path, tell: Tell) -> str:
        """Give Ollama a file, unless it has it; returns its digest, `sha256:…`."""
        total = path.stat().st_size
        digest = _digest(path, total, tell)
        with self._spoken():
            known = self._http.head(f"/api/blobs/{digest}")
        if known.status_code == 200:
            tell(f"{path.name} is there already", total, total)
            return digest
        if known.status_code != 404:
            _json(known)
        try:
            with self._spoken(), path.open("rb") as file:
                content = _blocks(file, f"sending {path.name}", total, tell)
                # The length in advance: a server that reads in chunks has no end to wait for.
                response = self._http.post(
                    f"/api/blobs/{digest}", content=content, headers={"Content-Length": str(total)}
                )
        except _CutError:
            raise BackpropError(
                f"Ollama closed the connection while {path.name} ({size(total)}) was sent",
                hint="Its own log says why; a full disk is the usual reason.",
            ) from None
        if response.status_code == 400:
            raise BackpropError(
                f"{path.name} did not reach Ollama whole: {_error(response)}",
                hint="Was the file changed meanwhile? Export it anew.",
            )
        _json(response)
        return digest

    def create(self, request: dict[str, Any], tell: Tell) -> None:
        """Make a model; its progress goes to `tell`. An error can come in the middle of it."""
        name = request["model"]
        done = False
        try:
            with (
                self._spoken(),
                self._http.stream("POST", "/api/create", json=request) as response,
            ):
                if response.status_code != 200:
                    response.read()
                    _json(response)
                for line in response.iter_lines():
                    done = _step(line, name, tell) or done
        except _CutError:
            done = False
        if not done:
            raise BackpropError(
                f"Ollama ended the connection before it had made {name}",
                hint="Its own log says why. What is half made, it clears away itself.",
            )

    def _answer(self, method: str, path: str) -> dict[str, Any]:
        with self._spoken():
            response = self._http.request(method, path)
        return _json(response)

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """Trouble on the way as a sentence."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise BackpropError(
                f"no Ollama answers at {self.address.url}",
                hint="Start it with `ollama serve`, or say where it is in OLLAMA_HOST.",
            ) from None
        except httpx.TimeoutException:
            raise BackpropError(
                f"Ollama at {self.address.url} said nothing for "
                f"{round((_TIMES.read or 0) / 60)} minutes",
                hint="Start it anew, and try again.",
            ) from None
        except httpx.HTTPError as error:
            raise _CutError(
                f"the connection to Ollama at {self.address.url} broke: {one_line(str(error))}",
                hint="Its own log says why. Try again.",
            ) from None


class _CutError(BackpropError):
    """The connection ended where it should not."""


def _step(line: str, name: str, tell: Tell) -> bool:
    """One line of an answer in progress; whether it is the last, the one that says it worked."""
    try:
        said = json.loads(line) if line.strip() else {}
    except ValueError:
        raise _CutError("not JSON") from None
    if "error" in said:
        raise _refused(f"Ollama could not make {name}", str(said["error"]))
    status = one_line(str(said.get("status", "")), limit=80)
    if status:
        total, completed = said.get("total"), said.get("completed")
        tell(
            status,
            completed if isinstance(completed, int) else 0,
            total if isinstance(total, int) else None,
        )
    return status == "success"


def _json(response: httpx.Response) -> dict[str, Any]:
    """What was answered. Raises BackpropError for what is an error, or no answer of Ollama's."""
    if response.status_code >= 300:
        raise _refused(f"Ollama refuses ({response.status_code})", _error(response))
    if not response.content:
        return {}
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BackpropError(
            f"what answers at {response.url.copy_with(path='/', query=None)} is not Ollama",
            hint="Say where Ollama is in OLLAMA_HOST.",
        )
    return found


def _refused(what: str, why: str) -> BackpropError:
    why = one_line(why, limit=300)
    hint = ""
    if any(words in why.lower() for words in _FULL):
        hint = "Make room on the disk where Ollama keeps its models (OLLAMA_MODELS), and try again."
    return BackpropError(f"{what}: {why}", hint=hint)


def _error(response: httpx.Response) -> str:
    try:
        said = response.json()
    except ValueError:
        said = None
    error = said.get("error") if isinstance(said, dict) else None
    return one_line(str(error or response.text or response.reason_phrase), limit=300)


def _digest(path: Path, total: int, tell: Tell) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        for block in _blocks(file, f"reading {path.name}", total, tell):
            sha.update(block)
    return f"sha256:{sha.hexdigest()}"


def _blocks(file: Any, what: str, total: int, tell: Tell) -> Iterator[bytes]:
    done = 0
    while block := file.read(_BLOCK):
        yield block
        done += len(block)
        tell(what, done, total)
