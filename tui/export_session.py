"""What a person chooses on the Export screen, and what follows from it: the request, what it will
take, and why it cannot be started."""

import os
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import ValidationError

from trainer_core.config.export_section import (
    WRITTEN_HERE,
    ExportRequest,
    ExportSection,
    GgufType,
)
from trainer_core.config.form import FormField, form_fields
from trainer_core.errors import UserError
from trainer_core.planning.export_sizes import (
    SizeEstimate,
    estimate,
    room_needed,
    seconds_needed,
)
from trainer_core.planning.gguf_sizes import CONVERTED
from trainer_core.text import one_line, size
from tui.export_found import MODULES, Found

GGUF_TYPES: tuple[GgufType, ...] = get_args(GgufType)
# Everything that can be chosen, in its order.
CHOICES = ("adapter", "adapter-gguf", "merged", *(f"gguf {kind}" for kind in GGUF_TYPES), "onnx")
OLLAMA = "127.0.0.1:11434"
# The settings of the config's section, beside its formats; a request has some more.
SECTION = ("dtype", "onnx_precision", "check", "base", "dequantize", "ollama", "push")
_NAMES = "letters, digits and . _ - (at most 64, the first a letter or a digit)"


class ExportSession:
    """One run's export as it is being put together. `chosen` are formats, and types of GGUF as
    `gguf q8_0`; `values` the settings that are not at their default."""

    def __init__(self) -> None:
        self.found: Found | None = None
        self.chosen: list[str] = []
        self.values: dict[str, Any] = {}

    def take(self, found: Found) -> None:
        """Go on with what a look found; of another run its own config's choices are taken, as far
        as they can be had here."""
        before, self.found = self.found, found
        if before is not None and before.entry.folder == found.entry.folder:
            return
        section = found.section
        self.values = section.model_dump(include=set(SECTION), exclude_defaults=True)
        wanted: list[str] = [name for name in section.formats if name != "gguf"]
        if "gguf" in section.formats or not section.formats:
            wanted += [f"gguf {kind}" for kind in section.quantizations]
        self.chosen = [what for what in wanted if not self.why_not(what)] or ["merged"]

    # --- choosing --------------------------------------------------------------------------------

    def toggle(self, what: str) -> None:
        """Choose a format, or leave it out. Raises UserError where it cannot be written."""
        why_not = self.why_not(what)
        if what in self.chosen:
            self.chosen.remove(what)
        elif why_not:
            raise UserError(f"{what} cannot be written: {why_not}", hint=self.way_out(what))
        else:
            self.chosen = sorted([*self.chosen, what], key=CHOICES.index)

    def value(self, name: str) -> Any:
        """A setting as it is now."""
        default = ExportRequest.model_fields[name].get_default(call_default_factory=True)
        return self.values.get(name, default)

    def enter(self, name: str, value: Any) -> None:
        """Set a setting; None or nothing means its default. Raises UserError for a wrong one."""
        changed = {key: old for key, old in self.values.items() if key != name}
        if value is not None and value != "":
            changed[name] = value
        _validated({"source": "run", **changed})
        self.values = changed

    def cycle(self, name: str) -> None:
        """The next of a setting's choices."""
        choices = choices_of(name)
        place = choices.index(_word(self.value(name))) + 1
        word = choices[place % len(choices)]
        self.enter(name, {"true": True, "false": False}.get(word, word))

    # --- what follows ----------------------------------------------------------------------------

    def section(self, *chosen: str) -> ExportSection:
        """The config's section for `chosen` formats, with the settings as they are."""
        values = {name: value for name, value in self.values.items() if name in SECTION}
        return ExportSection(**values, **_formats(chosen))

    def request(self) -> ExportRequest:
        """What is asked of the job. Raises UserError where something is missing."""
        problem = self.problem
        if problem or self.found is None or self.found.place is None:
            raise UserError(problem or "nothing is chosen")
        return _validated(
            {
                **self.values,
                **_formats(self.chosen),
                "source": str(self.found.entry.folder.path),
                "checkpoint": self.found.place.name,
            }
        )

    @property
    def estimates(self) -> list[SizeEstimate]:
        """What all that is chosen will take."""
        if self.found is None or not self.chosen:
            return []
        return estimate(self.found.known, self.section(*self.chosen))

    def estimate_of(self, what: str) -> SizeEstimate | None:
        """What one format would take, alone."""
        if self.found is None:
            return None
        return estimate(self.found.known, self.section(what))[0]

    @property
    def room(self) -> int:
        """Bytes that should be free."""
        return room_needed(self.estimates)

    @property
    def seconds(self) -> float:
        """How long it will take, roughly."""
        return seconds_needed(self.estimates)

    @property
    def problem(self) -> str:
        """Why it cannot be started, in a sentence; empty if it can."""
        found = self.found
        if found is None:
            return "there is no run to export"
        if found.place is None:
            return "this run has trained nothing yet that could be exported"
        if not self.chosen:
            return "nothing is chosen to be written"
        for what in self.chosen:  # what could be had before, with other settings
            if self.why_not(what):
                return f"{what} {self.why_not(what)}"
        if self.value("ollama") is not None:
            return self._no_ollama() or self._no_room()
        return self._no_room()

    # --- why not ---------------------------------------------------------------------------------

    def why_not(self, what: str) -> str:
        """Why a format cannot be written from what is chosen, here; empty if it can."""
        found = self.found
        if found is None:
            return ""
        if what.startswith("adapter") and found.place is not None and not found.is_adapter:
            return "a whole model was trained"
        model = found.known.model
        if "gguf" in what and model is not None and model.model_type not in CONVERTED:
            return f"a {one_line(model.model_type, limit=30)} cannot be written as GGUF here"
        missing = [_package(name) for name in self._needs(what) if name in found.missing]
        return f"needs {', '.join(missing)}" if missing else ""

    def way_out(self, what: str) -> str:
        """The command that adds what a format lacks; empty if it lacks nothing."""
        if self.found is None or not self.found.missing.intersection(self._needs(what)):
            return ""
        if what == "onnx":
            return "pip install 'backprop-tui[onnx]'"
        # Built for one machine alone, its quantised models crash on some processors.
        return "CMAKE_ARGS=-DGGML_NATIVE=OFF pip install 'backprop-tui[export]'"

    def check_is_in_the_way(self, what: str) -> bool:
        """Whether a format could be written if it were not checked."""
        missing = self.found.missing if self.found is not None else frozenset()
        return (
            self.value("check")
            and missing.intersection(self._needs(what)) == {"llama_cpp"}
            and (what.partition(" ")[2] in {"", *WRITTEN_HERE})
        )

    def _needs(self, what: str) -> tuple[str, ...]:
        """The modules that writing a format takes, and its check."""
        name, _, kind = what.partition(" ")
        if name == "onnx":
            return MODULES["onnx"]
        if "gguf" not in name:
            return ()
        needs_llama = self.value("check") or (kind and kind not in WRITTEN_HERE)
        return MODULES["export"] if needs_llama else ("gguf",)

    @property
    def ollama_place(self) -> tuple[str, bool]:
        """Where the model will be registered, and whether that is on this machine."""
        given = self.value("ollama_host") or os.environ.get("OLLAMA_HOST", "").strip()
        place = given or OLLAMA
        try:
            parts = urlsplit(place if "://" in place else f"//{place}")
            host = parts.hostname or ""
        except ValueError:
            host = ""
        return one_line(place, limit=80), _is_here(host)

    def _no_ollama(self) -> str:
        place, here = self.ollama_place
        if not here and not self.value("ollama_remote"):
            return f"Ollama at {place} is on another machine, which ollama_remote must allow"
        if any(what.startswith("gguf ") for what in self.chosen):
            return ""
        if "adapter-gguf" not in self.chosen:
            return "Ollama takes a GGUF, and none is chosen"
        if self.value("ollama_base") is None:
            return "an adapter in Ollama stands on a model that Ollama has: name it in ollama_base"
        return ""

    def _no_room(self) -> str:
        free = self.found.free if self.found is not None else None
        if free is None or self.room <= free:
            return ""
        return f"{size(self.room)} should be free for it, and {size(free)} are"


def field_of(name: str) -> FormField | None:
    """What the schema says of a setting of the config's section."""
    return next((field for field in form_fields() if field.name == f"export.{name}"), None)


def choices_of(name: str) -> tuple[str, ...]:
    """The words that a setting takes, nothing among them if that is its default; none at all where
    it is typed."""
    if name in ("force", "ollama_remote"):
        return ("false", "true")
    field = field_of(name)
    choices = field.choices if field is not None else ()
    unset = ExportRequest.model_fields[name].default is None
    return ("", *choices) if choices and unset else choices


def _is_here(host: str) -> bool:
    """Whether a host is this machine; as a server's address, "all of them" is meant."""
    try:
        address = ip_address(host)
    except ValueError:
        return host in {"", "localhost"}
    return address.is_loopback or address.is_unspecified


def _formats(chosen: Sequence[str]) -> dict[str, Any]:
    formats = list(dict.fromkeys(what.partition(" ")[0] for what in chosen))
    kinds = [what.partition(" ")[2] for what in chosen if what.startswith("gguf ")]
    return {"formats": formats, **({"quantizations": kinds} if kinds else {})}


def _validated(values: dict[str, Any]) -> ExportRequest:
    try:
        return ExportRequest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "the export"
        message = str(first["msg"]).removeprefix("Value error, ")
        if name == "name":
            message = f"a name has {_NAMES}"
        raise UserError(f"{name}: {message[:1].lower()}{message[1:]}") from None


def _package(module: str) -> str:
    return {"llama_cpp": "llama-cpp-python"}.get(module, module.replace("_", "-"))


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value or "")
