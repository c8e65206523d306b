"""A Modelfile beside the GGUF: `ollama create NAME -f Modelfile` does later, or elsewhere, what the
API does now.

Source: ParseFile, quote and unquote in Ollama's parser/parser.go. A value in quotes ends at the
first line that ends in those quotes; nothing is escaped inside.
"""

from collections.abc import Iterator
from pathlib import Path

from trainer_core.export.ollama.model import OllamaModel
from trainer_core.files import write_atomically

NAME = "Modelfile"


def write_modelfile(folder: Path, model: OllamaModel) -> Path:
    """Write `folder`/Modelfile; files inside the folder are named relative to it."""
    path = folder / NAME
    write_atomically(path, modelfile(folder, model).encode())
    return path


def modelfile(folder: Path, model: OllamaModel) -> str:
    """The text of a Modelfile that stands in `folder`."""
    return "\n".join(_lines(folder, model)) + "\n"


def _lines(folder: Path, model: OllamaModel) -> Iterator[str]:
    yield "# ollama create NAME -f Modelfile"
    if model.base is not None:
        yield f"FROM {model.base}"
    for path in model.files.values():
        yield f"FROM {_place(folder, path)}"
    for path in model.adapters.values():
        yield f"ADAPTER {_place(folder, path)}"
    if model.template is not None:
        yield f'TEMPLATE """{model.template}"""'
    if model.system:
        yield from _value("SYSTEM", model.system)
    for stop in model.stops:
        yield from _value("PARAMETER stop", stop)
    for name, value in model.parameters.items():
        if isinstance(value, str):
            yield from _value(f"PARAMETER {name}", value)
        else:
            yield f"PARAMETER {name} {str(value).lower()}"


def _value(command: str, text: str) -> Iterator[str]:
    if '"""' in text:
        yield f"# {command} is left out: it holds three quotes, which no Modelfile can say."
    else:
        quotes = '"""' if '"' in text or "\n" in text else '"'
        yield f"{command} {quotes}{text}{quotes}"


def _place(folder: Path, path: Path) -> str:
    inside = path.resolve().is_relative_to(folder.resolve())
    return f"./{path.resolve().relative_to(folder.resolve())}" if inside else str(path.resolve())
