"""A model registered with a running Ollama, and looked at afterwards."""

import json
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from trainer_core.errors import BackpropError, UserError
from trainer_core.export.ollama.client import OllamaClient, Tell
from trainer_core.export.ollama.host import find_address
from trainer_core.export.ollama.model import OllamaModel

# Older ones are known to spoil models made from files.
_OLDEST = Version("0.17.1")
# From here on the Jinja template inside a GGUF is run where no Go template is set.
_RUNS_JINJA = Version("0.30")


@dataclass(frozen=True)
class Registered:
    """A model that Ollama has. `command` runs it; `warnings` are sentences for a person."""

    name: str
    command: str
    host: str
    version: str
    warnings: tuple[str, ...] = ()


def check_ollama(
    name: str, host: str | None, allow_remote: bool, force: bool = False
) -> tuple[str, str]:
    """Ollama's URL and version, if it can take a model called `name`: to be asked before the work.

    Raises UserError if it is on another machine (without `allow_remote`) or has such a model
    (without `force`), and BackpropError if it does not answer.
    """
    with OllamaClient(find_address(host, allow_remote=allow_remote)) as client:
        version = client.version()
        if not force and client.show(name) is not None:
            raise UserError(
                f"Ollama has a model {name} already",
                hint="Take another name, or --force to replace it.",
            )
        return client.address.url, version


def register(
    name: str,
    request: OllamaModel,
    tell: Tell,
    host: str | None = None,
    allow_remote: bool = False,
    force: bool = False,
) -> Registered:
    """Send the files, make the model, and see that Ollama has it as it was sent.

    `tell` gets what is being done, how much is done and of how much (bytes, where Ollama says so).
    Raises what `check_ollama` does, and BackpropError for whatever goes wrong on the way.
    """
    url, version = check_ollama(name, host, allow_remote, force)
    with OllamaClient(find_address(host, allow_remote=allow_remote)) as client:
        files = {file: client.send(path, tell) for file, path in request.files.items()}
        adapters = {file: client.send(path, tell) for file, path in request.adapters.items()}
        client.create(_body(name, request, files, adapters), tell)
        shown = client.show(name)
        missing = "the model" if shown is None else _missing(shown, request)
    if missing:
        raise BackpropError(
            f"Ollama says that {name} was made, but {missing} is not as it was sent",
            hint=f"Look at it with `ollama show {name}`; `ollama rm {name}` removes it.",
        )
    return Registered(name, f"ollama run {name}", url, version, _warnings(version, request))


def _body(
    name: str, request: OllamaModel, files: dict[str, str], adapters: dict[str, str]
) -> dict[str, Any]:
    """What /api/create is sent. What is empty is left out: Ollama then takes its own."""
    stops = {"stop": list(request.stops)} if request.stops else {}
    body = {
        "from": request.base,
        "files": files,
        "adapters": adapters,
        "template": request.template,
        "system": request.system,
        "parameters": {**request.parameters, **stops},
    }
    return {"model": name, **{key: value for key, value in body.items() if value}, "stream": True}


def _missing(shown: dict[str, Any], request: OllamaModel) -> str:
    """What Ollama does not have as it was sent, in words; empty if nothing is missing."""
    if request.template is not None and shown.get("template") != request.template:
        return "its template"
    if request.system and shown.get("system") != request.system:
        return "its system prompt"
    # One line a value: the name, spaces, and the value as Go writes it.
    lines = str(shown.get("parameters") or "").splitlines()
    there = [(name, _from_go(value)) for name, _, value in (line.partition(" ") for line in lines)]
    sent = [*(("stop", stop) for stop in request.stops), *request.parameters.items()]
    for name, value in sent:
        if (name, value) not in there:
            return f"the parameter {name}"
    return ""


def _from_go(written: str) -> object:
    """A value that Go wrote with %#v: a string in quotes, a number (1.048576e+06), true, false."""
    try:
        return json.loads(written.strip())
    except ValueError:
        return written.strip()


def _warnings(version: str, request: OllamaModel) -> tuple[str, ...]:
    try:
        known = Version(version)
    except InvalidVersion:
        return ()
    if known == Version("0.0.0"):  # built from source: it may be any
        return ()
    found = []
    if known < _OLDEST:
        found.append(
            f"Ollama {version} is older than {_OLDEST}, with which such models are known to work: "
            "update it (https://ollama.com/download)."
        )
    if request.template is None and known < _RUNS_JINJA:
        found.append(
            f"Ollama {version} does not run the chat template inside the GGUF, and there is none "
            f"of its own kind: update it to {_RUNS_JINJA} or newer."
        )
    return tuple(found)
