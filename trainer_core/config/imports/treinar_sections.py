"""treinar_unsloth: files with sections, from the first ones to those with stages."""

from typing import Any

from trainer_core.config.imports import treinar_data as rows
from trainer_core.config.imports import treinar_folders as folder_keys
from trainer_core.config.imports import treinar_training as loop
from trainer_core.config.imports.reading import Reading, Rule, Table, expanded
from trainer_core.config.imports.rules import (
    given,
    put_folder,
    put_name,
    read_with_others,
    settled,
    to,
    unsupported,
)
from trainer_core.config.imports.treinar_stages import read_stage, stage_of
from trainer_core.config.imports.values import blank, name, off, says_yes, text
from trainer_core.config.yaml_file import Keys

SECTIONS = "treinar_unsloth (sections)"
BRIDGE = "treinar_unsloth (bridge)"
CURRICULUM = "treinar_unsloth (curriculum)"

_OLLAMA = unsupported("a model goes to Ollama when it is exported, after the run")
_DEFAULTS = {
    "training.epochs": ("treinamento.num_train_epochs", "1"),
    "training.learning_rate": ("treinamento.learning_rate", "2e-4"),
    "training.batch_size": ("treinamento.batch_size", "2"),
    "training.gradient_accumulation": ("treinamento.grad_batch_size", "5"),
    "training.warmup_steps": ("treinamento.warmup_steps", "5"),
    "model.max_length": ("treinamento.max_seq_length", "4096"),
    "model.quantization": ("treinamento.nbits", "4"),
    "lora.rank": ("lora.r", "8"),
}


def read_sections(reading: Reading) -> dict[str, tuple[str, str]]:
    """Set our fields from a file; gives what the tool would have taken for others."""
    holder = "curriculum" if "curriculum" in reading.source.data else "pastas"
    stage_at = stage_of(reading, holder) if reading.tool != SECTIONS else ()
    folders = folder_keys.Folders(
        holder,
        _gold(reading, holder),
        stage_at or (holder, "divisao"),
        _first_folder(reading, "pastas_base"),
    )
    full = loop.method(reading, stage_at, ("lora", "r"))
    training = loop.training(
        full,
        ignored=reading.tool == SECTIONS,
        sdpa=full and says_yes(reading.value("treinamento", "full_com_sdpa")),
    )
    if stage_at:
        training = {**training, **read_stage(reading, stage_at)}
    table = sections_table(reading.tool, folders, training, full)
    if reading.tool == CURRICULUM or _from_folders(reading):
        _read_folders(reading, table, folders)
    else:
        reading.follow({**table, holder: _unused("dataset")}, reading.source.data)
    reading.put_with("model.max_length", "data.too_long", "truncate")
    return _defaults(reading)


def sections_table(tool: str, folders: folder_keys.Folders, training: Table, full: bool) -> Table:
    """The keys of a file with sections; those of stages are in treinar_stages.py."""
    holder: dict[str, Rule | Table] = {
        "entrada": folder_keys.INPUT,
        "validacao": folder_keys.VALIDATION,
        "divisao": folder_keys.SPLIT if tool == SECTIONS else read_with_others,
        "predicao": folder_keys.OUTPUT,
    }
    holder[folders.gold] = folder_keys.GOLD
    table: dict[str, Rule | Table] = {
        "misc": {
            "log_level": to("logging.level", _level),
            "env_chave_criptografia": read_with_others,
            "pastas_base": _root,
            "pastas_modelos": _root,
        },
        folders.holder: holder,
        "modelo": {
            "base": _base,
            "base_model_name": _base,
            "saida": _saida,
            "alias": put_name,
            "ollama": _OLLAMA,
            "ollama_base": _OLLAMA,
            "ollama_url": _OLLAMA,
        },
        "treinamento": training,
        "lora": loop.lora(full, ignored=tool == SECTIONS),
    }
    if folders.holder == "curriculum":
        table["pastas"] = _left_behind
    if tool == CURRICULUM:
        return {**table, "formatos": _left_behind, "dataset": _left_behind}
    return {
        **table,
        "formatos": {"tipo_entrada": read_with_others, "formato_saida": folder_keys.answers},
        "dataset": {
            "train_file": rows.split_file("data.train", ("train_prompt_col",), folders.root),
            "eval_file": rows.split_file("data.validation", rows.EVAL_COLUMNS, folders.root),
            "test_file": rows.split_file("data.test", rows.EVAL_COLUMNS, folders.root),
            "train_prompt_col": rows.column("train_file"),
            "eval_prompt_col": rows.column("eval_file"),
        },
    }


def _gold(reading: Reading, holder: str) -> str:
    """The section with the answers: `predicao`, before that became an output."""
    if reading.tool == CURRICULUM:
        return "saida"
    return "dataset" if isinstance(reading.value(holder, "dataset"), dict) else "predicao"


def _from_folders(reading: Reading) -> bool:
    """Whether the rows are files in folders; where the file does not say, what it names decides."""
    keys = ("formatos", "tipo_entrada")
    kind = reading.value(*keys)
    if blank(kind):
        return blank(reading.value("dataset", "train_file"))
    given = str(kind).strip().lower()
    if given not in ("pastas", "dataset"):
        raise reading.refusal(keys, "should be dataset or pastas", kind)
    reading.settle(keys)
    return given == "pastas"


def _read_folders(reading: Reading, table: Table, folders: folder_keys.Folders) -> None:
    if reading.tool != CURRICULUM:
        table = {**table, "dataset": _unused(folders.holder)}
    reading.follow(table, reading.source.data)
    folder_keys.put_folders(reading, folders)
    if reading.tool == BRIDGE and folders.gold == "predicao":
        reading.note(
            (folders.holder, "predicao"),
            "is taken for the answers to learn, as in older files, since no dataset is beside it",
        )


def _unused(instead: str) -> Rule:
    """The section that the rows do not come from."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if value:
            reading.note(keys, f"is not used, since the rows come from {instead}")

    return rule


def _left_behind(reading: Reading, keys: Keys, value: Any) -> None:
    if value:
        reading.note(keys, "is not used, since the tool reads curriculum where a file has it")


def _defaults(reading: Reading) -> dict[str, tuple[str, str]]:
    """Those of the generation that documents them."""
    if reading.tool != SECTIONS:
        return {}
    full = reading.get("training.method") == "full"
    return {ours: old for ours, old in _DEFAULTS.items() if not (full and ours == "lora.rank")}


def _level(value: Any) -> str:
    level = text(value).upper()
    return "ERROR" if level == "CRITICAL" else level


@given
def _base(reading: Reading, keys: Keys, value: Any) -> None:
    """A base model: in the folder of models, a path, or a name on the hub."""
    base = reading.coerced(keys, value, text)
    inside = rows.under(_first_folder(reading, "pastas_modelos"), base)
    reading.put("model.base", inside if reading.lies_beside(inside) else base, keys)


def _saida(reading: Reading, keys: Keys, value: Any) -> None:
    if isinstance(value, str) and not blank(value):
        value = rows.under(_first_folder(reading, "pastas_modelos"), value.strip())
    put_folder(reading, keys, value)


def _root(reading: Reading, keys: Keys, value: Any) -> None:
    root = _first_folder(reading, str(keys[-1]))
    if root:
        what = "models and runs" if keys[-1] == "pastas_modelos" else "data"
        reading.note(keys, f"has {root}, which exists: relative paths of {what} start there")
    elif off(value):
        settled(reading, keys, value)
    else:
        reading.note(keys, "names no folder that exists, so relative paths start beside this file")


def _first_folder(reading: Reading, key: str) -> str:
    """The first of the folders under a key of `misc` that exists; empty if none does."""
    value = reading.value("misc", key)
    for index, folder in enumerate(value if isinstance(value, list) else [value]):
        if blank(folder):
            continue
        at = ("misc", key, index) if isinstance(value, list) else ("misc", key)
        path = reading.coerced(at, folder, name)
        if reading.lies_beside(path):
            return str(expanded(path))
    return ""
