"""README.md of an export: a model card, with what is known of the training and what was checked.

Names and settings only: no row of the data, no path of this machine. Whatever came from outside is
one line of plain text in it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer_core.config.data_section import DataSource
from trainer_core.config.yaml_file import dump_yaml
from trainer_core.errors import UserError
from trainer_core.export.licence import licence_of
from trainer_core.export.source import Source
from trainer_core.export.usage import usage
from trainer_core.files import write_atomically
from trainer_core.markdown import code, shown, table
from trainer_core.planning.facts import is_local
from trainer_core.planning.plan import ResolvedRun
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.runs.events import Exported, Finished, Log, decode
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import read_lines
from trainer_core.runs.trained import trained_places
from trainer_core.text import size

NAME = "README.md"
# What the job says of each split: how many examples and tokens it has.
_SPLIT = re.compile(r"(train|validation|test): [\d,]+ examples, [\d,]+ tokens\b[\w ,]*")
_LIBRARIES = {"adapter": "peft", "merged": "transformers", "gguf": "gguf", "onnx": "onnx"}


def write_card(folder: Path, source: Source, artefacts: list[Exported]) -> None:
    """Write `folder`/README.md for what was exported into it."""
    write_atomically(folder / NAME, card(source, artefacts).encode())


def card(source: Source, artefacts: list[Exported]) -> str:
    """The text of the model card."""
    resolved = _resolved(source)
    licence = licence_of(source.base or source.folder)
    head = dump_yaml(_front_matter(source, artefacts, resolved, licence))
    sections = [
        [f"# {shown(source.name)}", *_about(source, licence)],
        ["## Training", *_training(source, resolved)],
        ["## Files", *_files(artefacts)],
        ["## Check", *_check(artefacts)],
        ["## Use", *usage(_hub_name(source.base_name), source.template() is not None, artefacts)],
    ]
    body = "\n\n".join(part for section in sections for part in section)
    return f"---\n{head}---\n\n{body}\n"


def _resolved(source: Source) -> ResolvedRun | None:
    """The run's settings; None where another version wrote them, which was said already."""
    try:
        return read_resolved(source.run.resolved) if source.run is not None else None
    except UserError:
        return None


def _front_matter(
    source: Source, artefacts: list[Exported], resolved: ResolvedRun | None, licence: str
) -> dict[str, Any]:
    """What the hub reads. What is not known is left out."""
    kinds = list(dict.fromkeys(made.format.split()[0] for made in artefacts))
    adapters = {"adapter", "adapter-gguf"}
    base = _hub_name(source.base_name)
    data = resolved.config.data.train if resolved is not None else []
    tags = ["backprop", *(kind for kind in ("gguf", "onnx") if kind in kinds)]
    if source.kind == "adapter":
        tags.append("lora")
    if source.template() is not None:
        tags.append("conversational")
    found = {
        "base_model": base,
        "base_model_relation": "adapter" if adapters.issuperset(kinds) else "finetune",
        "license": licence,
        "library_name": next((_LIBRARIES[kind] for kind in _LIBRARIES if kind in kinds), ""),
        "pipeline_tag": "text-generation",
        "datasets": [source.hub for source in data if source.hub and _hub_name(source.hub)],
        "tags": tags,
    }
    if not base:
        del found["base_model_relation"]
    return {key: value for key, value in found.items() if value}


def _about(source: Source, licence: str) -> Iterator[str]:
    how = " as a LoRA adapter" if source.kind == "adapter" else ""
    yield f"Fine-tuned{how} from {_base(source)}, with backprop, a fine-tuning tool."
    if source.dequantized:
        yield (
            "The base was a quantised one, turned back into 16 bits: what quantization had rounded "
            "away stays lost."
        )
    if licence:
        yield f"Licence of the base, as it states itself: {shown(licence)}."
    else:
        yield (
            "The licence of the base was not found beside it. Look it up before you pass this on: "
            "it holds for this model too."
        )


def _base(source: Source) -> str:
    name = _hub_name(source.base_name)
    if name:
        return f"[{shown(name)}](https://huggingface.co/{name})"
    folder = Path(source.base_name).name if source.base_name else ""
    return f"a base model in a local folder ({code(folder)})" if folder else "a base unknown here"


def _training(source: Source, resolved: ResolvedRun | None) -> Iterator[str]:
    if source.run is None or resolved is None:
        yield "This was exported from a folder, so nothing is known here of how it was trained."
        return
    yield table(("setting", "value"), _settings(resolved))
    data = resolved.config.data
    names = [("train", data.train), ("validation", data.validation), ("test", data.test)]
    ended, counts = _said(source.run)
    yield "Data:"
    yield "\n".join(
        f"- {split}: {_data_names(sources)}{counts.get(split, '')}"
        for split, sources in names
        if sources or split in counts
    )
    yield table(("result", "value"), _results(source, source.run, ended))


def _settings(resolved: ResolvedRun) -> Iterator[tuple[str, object]]:
    config = resolved.config
    training, lora = config.training, config.lora
    if training.method == "lora":
        kind = "DoRA" if lora.dora else "LoRA"
        scale = "alpha / sqrt(rank)" if lora.rslora else "alpha / rank"
        yield "method", f"{kind}, rank {lora.rank}, alpha {lora.alpha:g} ({scale})"
        targets = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
        yield "trained layers", targets
    else:
        yield "method", "all weights"
    if config.model.quantization != "none":
        yield "base loaded in", config.model.quantization
    yield "number format", config.model.dtype
    yield "steps", f"{resolved.total_steps:,} ({resolved.epochs:.3g} epochs)"
    yield "examples in a step", training.effective_batch
    yield "longest example, tokens", config.model.max_length
    yield "learning rate", f"{training.learning_rate}, {training.scheduler}"
    yield "optimizer", training.optimizer
    yield "seed", training.seed
    yield "chat template", "of its own" if config.model.template else "the base's"
    yield (
        "trained",
        {"all": "every answer", "last": "the last answer of each conversation"}[
            config.data.train_on
        ],
    )


def _results(
    source: Source, run: RunFolder, ended: Finished | None
) -> Iterator[tuple[str, object]]:
    place = next((p for p in trained_places(run) if p.name == source.checkpoint), None)
    if place is not None:
        step = f", step {place.step:,}" if place.step is not None else ""
        yield "exported weights", f"{place.name}{step}"
        if place.loss is not None:
            yield "their validation loss (nats a token)", f"{place.loss:.4f}"
    if ended is None:
        yield "the run", "had not ended"
        return
    yield "steps done", f"{ended.step:,}"
    for name, words in (
        ("first_loss", "training loss at first"),
        ("last_loss", "training loss at last"),
        ("best_eval_loss", "best validation loss"),
    ):
        value = ended.summary.get(name)
        if value is not None:
            yield words, f"{value:.4f}"


def _said(run: RunFolder) -> tuple[Finished | None, dict[str, str]]:
    """How the run ended, and what it said of each split. Of a long run few lines are parsed."""
    ended: Finished | None = None
    splits: dict[str, str] = {}
    for line, _ in read_lines(run.events):
        if b'"type":"finished"' not in line and b'"type":"log"' not in line:
            continue
        try:
            event = decode(line)
        except ValueError:
            continue
        if isinstance(event, Finished):
            ended = event
        elif isinstance(event, Log) and _SPLIT.fullmatch(event.message):
            split, _, counted = event.message.partition(": ")
            splits[split] = f" ({shown(counted)})"
    return ended, splits


def _files(artefacts: list[Exported]) -> Iterator[str]:
    rows = [(made.path, made.format, size(made.size)) for made in artefacts]
    yield table(("file", "format", "size"), rows)


def _check(artefacts: list[Exported]) -> Iterator[str]:
    checked = [(made, made.check) for made in artefacts if made.check is not None]
    if checked:
        yield (
            "Each of these was loaded again and compared with the trained model itself: how it "
            "cuts text into tokens, what it expects next on a few prompts, and how it goes on."
        )
        yield table(
            ("file", "run by", "compared", "found", "limit", ""),
            [
                (
                    made.path,
                    check.runtime,
                    measure.name,
                    f"{measure.value:.4g}",
                    f"{'at least' if measure.at_least else 'at most'} {measure.limit:.4g}",
                    "right" if measure.passed else "WRONG",
                )
                for made, check in checked
                for measure in check.measures
            ],
        )
        for made, check in checked:
            if check.differs:
                yield f"**WRONG**: {code(made.path)}: {shown(check.differs)}"
        yield (
            "That says how near these files are to the trained model. How good its answers are was "
            "not checked."
        )
    unchecked = [code(made.path) for made in artefacts if made.check is None]
    if unchecked:
        yield f"**Not checked**: {', '.join(unchecked)}."


def _data_names(sources: list[DataSource]) -> str:
    return ", ".join(_data_name(source) for source in sources) or "a part of train"


def _data_name(source: DataSource) -> str:
    """A hub dataset's name; of files only the last part of the path."""
    if source.hub:
        return shown(source.hub)
    return shown(Path(source.name).name or "a folder")


def _hub_name(name: str) -> str:
    """`name` if it is one on the hub, else nothing."""
    known = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name, re.ASCII)
    return name if known and not is_local(name) else ""
