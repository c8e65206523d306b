"""What is done for Ollama with what was exported: a Modelfile beside it, and registering it."""

import shlex
from collections.abc import Callable
from pathlib import Path

from trainer_core.config.export_section import ExportRequest
from trainer_core.errors import BackpropError, UserError
from trainer_core.export.ollama.model import OllamaModel
from trainer_core.export.ollama.modelfile import write_modelfile
from trainer_core.export.ollama.register import check_ollama, register
from trainer_core.export.ollama.template import ollama_template
from trainer_core.export.source import Source
from trainer_core.runs.events import Exported

# Ollama reserves memory for so many tokens; more is the user's to ask for.
CONTEXT = 4096


def require_ollama(request: ExportRequest, notice: Callable[[str, str], None]) -> None:
    """Look, before the work, whether Ollama will take it. One that does not answer is only said to
    `notice`: it is wanted at the end. Raises UserError for what will not be better then."""
    if request.ollama is None:
        return
    if "gguf" not in request.formats and request.ollama_base is None:
        raise UserError(
            "an adapter in Ollama stands on a model that Ollama has",
            hint="Name it with --ollama-base, or take --format gguf.",
        )
    try:
        check_ollama(request.ollama, request.ollama_host, request.ollama_remote, request.force)
    except UserError:
        raise
    except BackpropError as error:
        notice(error.message, f"{error.hint} The rest is done, then it is asked again.")


def hand_to_ollama(
    request: ExportRequest,
    source: Source,
    made: list[Exported],
    folder: Path,
    announce: Callable[[str, str], None],
    notice: Callable[[str], None],
    tell: Callable[[int, int], None],
) -> list[str]:
    """Write a Modelfile for the first GGUF that was made, and register it if that is asked.
    Returns the commands that come next; none without a GGUF."""
    model = _model(request, source, made, folder)
    if model is None:
        return []
    tokenizer = source.talking()
    template = ollama_template(tokenizer.template, tokenizer)
    for note in template.notes:
        notice(note)
    model = OllamaModel(
        files=model.files,
        adapters=model.adapters,
        base=model.base,
        template=template.go,
        system=template.system,
        stops=template.stops,
        parameters={"num_ctx": min(CONTEXT, _context(source))},
    )
    write_modelfile(folder, model)
    name = request.ollama or source.name.lower()
    if request.ollama is None:
        place = shlex.quote(str(folder / "Modelfile"))
        return [f"ollama create {name} -f {place}", f"ollama run {name}"]
    announce("registering", f"{name} with Ollama")

    def said(what: str, done: int, total: int | None) -> None:
        del what
        tell(done, total or done)

    registered = register(
        name, model, said, request.ollama_host, request.ollama_remote, request.force
    )
    for warning in registered.warnings:
        notice(warning)
    return [registered.command]


def _model(
    request: ExportRequest, source: Source, made: list[Exported], folder: Path
) -> OllamaModel | None:
    """Files under the names that they have in the folder: a whole model, else the adapter."""
    whole = [one.path for one in made if one.format.startswith("gguf ")]
    adapters = [one.path for one in made if one.format == "adapter-gguf"]
    if whole:
        return OllamaModel(files={whole[0]: folder / whole[0]})
    if adapters:
        base = request.ollama_base or source.base_name
        return OllamaModel({}, {adapters[0]: folder / adapters[0]}, base)
    return None


def _context(source: Source) -> int:
    config = source.config_json()
    found = (config.get("text_config") or config).get("max_position_embeddings")
    return found if isinstance(found, int) and found > 0 else CONTEXT
