"""Merged weights: a model folder as transformers reads it, written a few rows at a time."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from trainer_core.export.model import BLOCK, ExportModel, Tell
from trainer_core.export.settling import Settling
from trainer_core.export.weights import DTYPES, TensorFacts

# Bytes of a file, as the hub's libraries cut them.
SHARD = 5 * 10**9
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_BESIDE = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def write_merged(model: ExportModel, base: Path, folder: Path, dtype: str, tell: Tell) -> None:
    """Write the model to `folder`, in `dtype`, as safetensors in shards; with its config, its
    tokenizer and the chat template it was trained with. `base` has the generation config."""
    folder.mkdir(parents=True)
    kept = getattr(torch, dtype)
    facts = {
        name: TensorFacts(found.shape, kept if found.dtype.is_floating_point else found.dtype)
        for name, found in model.weights.tensors.items()
    }
    shards = list(_shards(facts))
    index: dict[str, str] = {}
    done = 0
    for number, names in enumerate(shards, 1):
        file = "model.safetensors"
        if len(shards) > 1:
            file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        index |= dict.fromkeys(names, file)
        done = _write_shard(model, folder / file, {n: facts[n] for n in names}, tell, done)
    if len(shards) > 1:
        total = {"total_size": sum(found.size for found in facts.values())}
        _write_json(
            folder / "model.safetensors.index.json", {"metadata": total, "weight_map": index}
        )
    _write_json(folder / "config.json", {**model.config, "dtype": dtype} | _old_key(model, dtype))
    copy_tokenizer(model.tokenizer, model.template, folder)
    if (base / "generation_config.json").is_file():
        shutil.copyfile(base / "generation_config.json", folder / "generation_config.json")


def copy_tokenizer(tokenizer: Path, template: str | None, folder: Path) -> None:
    """Put the tokenizer of one folder into another, with the chat template of the training."""
    for name in _BESIDE:
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, folder / name)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def rows_at_once(facts: TensorFacts) -> int:
    """How many rows of a tensor make a block of work, counted in float32."""
    row = max(1, facts.size // max(1, facts.rows) // facts.dtype.itemsize * 4)
    return int(max(1, BLOCK // row))


def _shards(facts: dict[str, TensorFacts]) -> Iterator[list[str]]:
    names: list[str] = []
    size = 0
    for name, found in facts.items():
        if names and size + found.size > SHARD:
            yield names
            names, size = [], 0
        names.append(name)
        size += found.size
    yield names


def _write_shard(
    model: ExportModel, path: Path, facts: dict[str, TensorFacts], tell: Tell, done: int
) -> int:
    """Header first: every size is known before a tensor is read. Returns the bytes read so far."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, found in facts.items():
        place = [offset, offset + found.size]
        header[name] = {
            "dtype": _NAMES[found.dtype],
            "shape": list(found.shape),
            "data_offsets": place,
        }
        offset += found.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file, Settling(file) as settling:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, found in facts.items():
            read = model.weights.tensors[name]
            step = rows_at_once(read)
            for start in range(0, read.rows, step):
                stop = min(start + step, read.rows)
                rows = model.weights.rows(name, start, stop).to(found.dtype)
                settling.wrote(file.write(rows.contiguous().reshape(-1).view(torch.uint8).numpy()))
                done += read.size // max(1, read.rows) * (stop - start)
                tell(done)
        settling.finish()
    return done


def _old_key(model: ExportModel, dtype: str) -> dict[str, str]:
    """Older libraries read torch_dtype; it must not contradict."""
    return {"torch_dtype": dtype} if "torch_dtype" in model.config else {}


def _write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
