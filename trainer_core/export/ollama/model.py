"""What is handed to Ollama, by its API or in a Modelfile."""

from dataclasses import dataclass, field
from pathlib import Path

Parameter = str | int | float | bool


@dataclass(frozen=True)
class OllamaModel:
    """A model as Ollama shall have it: GGUF `files` by name, or the `base` it has already; and the
    `adapters` on top. `template` is a Go template, None where there is none."""

    files: dict[str, Path]
    adapters: dict[str, Path] = field(default_factory=dict)
    base: str | None = None
    template: str | None = None
    system: str = ""
    stops: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = field(default_factory=dict)
