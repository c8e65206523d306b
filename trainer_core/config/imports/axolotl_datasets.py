"""Axolotl's `datasets`: where rows come from, and what their columns are called."""

import re
from typing import Any

from trainer_core.config.data_section import DATA_SUFFIXES
from trainer_core.config.imports.hugging_face import found
from trainer_core.config.imports.reading import Reading, Rule, Table
from trainer_core.config.imports.rules import (
    read_with_others,
    settled,
    unsupported,
    wanted,
)
from trainer_core.config.imports.values import blank, names, off, says_yes, text
from trainer_core.config.yaml_file import Keys

# Columns of the types whose rows would not be told by their keys.
_COLUMNS = {
    "gpteacher": {"prompt": "instruction", "input": "input", "completion": "response"},
    "alpaca_chat": {"prompt": "instruction", "input": "input", "completion": "response"},
    "alpaca_chat.load_qa": {"prompt": "question", "completion": "answer"},
    "jeopardy": {"prompt": "question", "completion": "answer"},
    "oasst": {"prompt": "INSTRUCTION", "completion": "RESPONSE"},
    "summarizetldr": {"prompt": "article", "completion": "summary"},
    "metharme": {"prompt": "prompt", "completion": "generation"},
    "alpaca_w_system.load_open_orca": {
        "system": "system_prompt",
        "prompt": "question",
        "completion": "response",
    },
}
_HUB_NAME = r"(hub:)?[\w-][\w.-]*(/[\w-][\w.-]*)?"
_LOADERS = ("json", "csv", "parquet", "text", "arrow")  # kinds of files in the place of a path
_FIELDS = {
    "field_instruction": "prompt",
    "field_input": "input",
    "field_output": "completion",
    "field_system": "system",
}
_OF_HUB = {"name": "subset", "split": "split", "revision": "revision"}
_MESSAGES = {"field_messages": "messages", "field_tools": "tools"}
_FORMS = ({"role": "role", "content": "content"}, {"role": "from", "content": "value"})
_SHARDS = unsupported("a data source has a limit instead")
_TURNS = unsupported("every answer is trained, or the last one (data.train_on: last); a message "
                     "with weight: 0 is not")  # fmt: skip


def read_datasets(ours: str) -> Rule:
    """A list of data sources, for one split."""

    @wanted
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if not isinstance(value, list):
            raise reading.refusal(keys, "should be a list of datasets", value)
        count = 0
        for index, item in enumerate(value):
            at = (*keys, index)
            if not isinstance(item, dict):
                raise reading.refusal(at, "should be a dataset with path and type", item)
            count += _read_dataset(reading, item, at, ours, count)

    return rule


def _read_dataset(reading: Reading, item: dict[str, Any], at: Keys, ours: str, count: int) -> int:
    """Set one source for each file of the dataset, from number `count` on; gives how many."""
    reading.follow(TABLE, item, at)
    places = _places(reading, item, at)
    columns = _columns(reading, item, at)
    for number, (field, place, origin) in enumerate(places, count):
        reading.put(f"{ours}.{number}.{field}", place, origin)
        if columns:
            reading.put(f"{ours}.{number}.columns", columns, at)
        if field == "hub":
            for key, name in _OF_HUB.items():
                if not blank(item.get(key)):
                    given = reading.coerced((*at, key), item[key], text)
                    reading.put(f"{ours}.{number}.{name}", given, (*at, key))
        else:
            for key in _OF_HUB.keys() & item.keys():
                settled(reading, (*at, key), item[key])
    return len(places)


def _places(reading: Reading, item: dict[str, Any], at: Keys) -> list[tuple[str, str, Keys]]:
    """What the rows are read from: our field, its value, and the key that said so."""
    path_at, files_at = (*at, "path"), (*at, "data_files")
    path = reading.coerced(path_at, item.get("path"), text)
    files = item.get("data_files")
    if re.match(r"(s3|gs|gcs|az|oci|abfs)://", path):
        raise reading.refusal(path_at, "is in a cloud's storage", path, "Copy it here first.")
    local = found(reading, path)
    is_here = local != path or reading.lies_beside(path) or path.startswith((".", "~", "/"))
    is_hub = not is_here and re.fullmatch(_HUB_NAME, path) and not re.search(DATA_SUFFIXES, path)
    if not off(files) and (not is_hub or path in _LOADERS):
        reading.settle(path_at)
        listed = reading.coerced(files_at, files, names)
        return [("path", found(reading, name), files_at) for name in listed]
    if not is_hub:
        return [("path", local, path_at)]
    if not off(files):
        reading.note(
            files_at, "is not supported for a dataset on the hub: all files of its split are read"
        )
    return [("hub", path.removeprefix("hub:"), path_at)]


def _columns(reading: Reading, item: dict[str, Any], at: Keys) -> dict[str, str]:
    """Our fields to the columns that hold them, where the dataset says so."""
    kind = item.get("type")
    type_at = (*at, "type")
    if isinstance(kind, dict):
        reading.follow(TYPE, kind, type_at)
        return {
            ours: reading.coerced((*type_at, key), kind[key], text)
            for key, ours in _FIELDS.items()
            if not blank(kind.get(key))
        }
    messages = {
        ours: reading.coerced((*at, key), item[key], text)
        for key, ours in _MESSAGES.items()
        if not blank(item.get(key))
    }
    if messages:
        messages.setdefault("messages", "messages")
        settled(reading, type_at, kind)
        return messages
    name = "" if blank(kind) else str(kind).strip()
    if name == "completion":
        field = item.get("field")
        return {"text": "text" if blank(field) else reading.coerced((*at, "field"), field, text)}
    if name in _COLUMNS:
        return _COLUMNS[name]
    if name.partition(".")[0] in ("chat_template", "sharegpt", "alpaca", ""):
        settled(reading, type_at, kind)
    else:
        reading.note(
            type_at,
            f"is {name!r}, which is not known here, so the format is told by the keys of the rows; "
            "columns says which column is what",
        )
    if name.partition(".")[0] == "alpaca" and blank(reading.value("chat_template")):
        reading.note(
            type_at,
            "writes Alpaca's headings there; here the model's own chat template is used "
            "(model.template: alpaca writes them)",
        )
    return {}


@wanted
def _mappings(reading: Reading, keys: Keys, value: Any) -> None:
    """Names inside of messages, of which two ways are known."""
    if value in _FORMS:
        reading.settle(keys)
    else:
        reading.note(keys, "is not supported: messages have role and content, or from and value")


def _one_role(reading: Reading, keys: Keys, value: Any) -> None:
    """The roles whose turns are trained."""
    if value in (["assistant"], ["gpt"], ["assistant", "gpt"], ["gpt", "assistant"]):
        reading.settle(keys)
    elif value is not None:
        reading.note(keys, f"is {value}, but the turns of the assistant are trained")


def _end_of_turn(reading: Reading, keys: Keys, value: Any) -> None:
    if value == "turn":
        reading.settle(keys)
    elif not blank(value):
        reading.note(keys, f"is {value}, but the end of each trained turn is trained")


def _template(reading: Reading, keys: Keys, value: Any) -> None:
    if str(value).startswith("tokenizer_default"):
        reading.settle(keys)
    elif not blank(value):
        reading.note(keys, "is not supported: one template is for all data, in model.template")


def _field_of_messages(reading: Reading, keys: Keys, value: Any) -> None:
    if value in ("role", "content", "from", "value"):
        reading.settle(keys)
    elif not blank(value):
        reading.note(keys, "is not supported: messages have role and content, or from and value")


def _trust(reading: Reading, keys: Keys, value: Any) -> None:
    if says_yes(value):
        reading.note(keys, "is not supported: code that comes with a dataset is never run")
    else:
        settled(reading, keys, value)


TYPE: Table = {
    **dict.fromkeys(_FIELDS, read_with_others),
    "format": unsupported("the chat template writes the prompt; model.template takes a Jinja file"),
    "no_input_format": unsupported("the chat template writes the prompt"),
    "system_prompt": unsupported("a column may hold a system prompt: columns: {system: …}"),
    "system_format": unsupported("the chat template writes the system prompt"),
}
TABLE: Table = {
    "path": read_with_others,
    "type": read_with_others,
    "name": read_with_others,
    "split": read_with_others,
    "revision": read_with_others,
    "data_files": read_with_others,
    "ds_type": settled,
    "field": read_with_others,
    "field_messages": read_with_others,
    "field_tools": read_with_others,
    "field_human": settled,
    "field_model": settled,
    "message_property_mappings": _mappings,
    "message_field_role": _field_of_messages,
    "message_field_content": _field_of_messages,
    "message_field_training": _TURNS,
    "message_field_training_detail": _TURNS,
    "roles_to_train": _one_role,
    "train_on_eos": _end_of_turn,
    "roles": unsupported("user, human, assistant, gpt, system and tool are known by these names"),
    "drop_system_message": unsupported("system turns stay"),
    "conversation": unsupported("model.template names the chat template"),
    "chat_template": _template,
    "shards": _SHARDS,
    "shards_idx": _SHARDS,
    "preprocess_shards": settled,
    "trust_remote_code": _trust,
}
