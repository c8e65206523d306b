"""LLaMA-Factory's datasets: names that dataset_info.json explains."""

from pathlib import Path
from typing import Any

from trainer_core.config.imports.hugging_face import found
from trainer_core.config.imports.reading import Reading, Rule
from trainer_core.config.imports.rules import (
    wanted,
)
from trainer_core.config.imports.values import blank, names, text, whole
from trainer_core.config.yaml_file import Keys
from trainer_core.errors import UserError
from trainer_core.reading import read_object

INFO = "dataset_info.json"
_REMOTE = ("ONLINE", "REMOTE")
# Its names of columns to ours, for rows with a prompt and an answer, and for messages.
_ALPACA = {"prompt": "prompt", "query": "input", "response": "completion", "system": "system"}
_SHAREGPT = {"messages": "messages", "system": "system", "tools": "tools"}
_TAGS = {"role_tag": ("from", "role"), "content_tag": ("value", "content")}
_OTHERS = ("history", "images", "videos", "audios", "chosen", "rejected", "kto_tag")


def read_datasets(ours: str) -> Rule:
    """Names of datasets, for one split."""

    @wanted
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        folder, known = _known(reading)
        for number, name in enumerate(reading.coerced(keys, value, names)):
            at = f"{ours}.{number}"
            if folder in _REMOTE or name.startswith("REMOTE:"):
                reading.put(f"{at}.hub", name.removeprefix("REMOTE:"), keys)
            elif name in known:
                _put_known(reading, keys, at, folder, known[name])
            else:
                reading.put(f"{at}.path", _joined(folder, name), keys)
                lies = f"{folder}/{INFO} does not name it" if known else f"{folder} has no {INFO}"
                reading.note(
                    keys,
                    f"names {name!r}, but {lies}, so it is taken for a file there; set data.train "
                    "to the file, folder or hub dataset that is meant",
                )
            limit = reading.value("max_samples")
            if not blank(limit):
                limit = reading.coerced(("max_samples",), limit, whole)
                reading.put(f"{at}.limit", limit, ("max_samples",))

    return rule


def _known(reading: Reading) -> tuple[str, dict[str, Any]]:
    """The folder of the datasets, and what its dataset_info.json says."""
    keys = ("dataset_dir",)
    value = reading.value(*keys)
    folder = "data" if blank(value) else reading.coerced(keys, value, text)
    if not blank(value):
        reading.settle(keys)
    if folder in _REMOTE:
        return folder, {}
    folder = found(reading, folder)
    path = reading.folder / Path(folder).expanduser() / INFO
    try:
        return folder, read_object(path)
    except FileNotFoundError:
        return folder, {}
    except UserError as error:
        raise reading.refusal(keys, f"has a {INFO} that cannot be read: {error}") from None


def _put_known(reading: Reading, keys: Keys, at: str, folder: str, about: Any) -> None:
    """Set a source from what dataset_info.json says about it."""
    about = about if isinstance(about, dict) else {}
    if about.get("ranking"):
        raise reading.refusal(keys, "names a dataset of preferences, which is not trained here")
    if about.get("hf_hub_url"):
        reading.put(f"{at}.hub", str(about["hf_hub_url"]), keys)
        for key in ("subset", "split"):
            if about.get(key):
                reading.put(f"{at}.{key}", str(about[key]), keys)
        if about.get("folder"):
            reading.note(keys, f"names a folder of a hub dataset ({INFO}), which is not supported")
    elif about.get("file_name"):
        reading.put(f"{at}.path", _joined(folder, str(about["file_name"])), keys)
    else:
        raise reading.refusal(
            keys,
            f"names a dataset that is neither a file nor on the Hugging Face hub ({INFO})",
            hint="Copy it here, and name the file there as file_name.",
        )
    columns = about.get("columns")
    messages = about.get("formatting") == "sharegpt"
    if isinstance(columns, dict):
        fields = _SHAREGPT if messages else _ALPACA
        mapped = {ours: str(columns[key]) for key, ours in fields.items() if columns.get(key)}
        if not messages and mapped:
            mapped.setdefault("prompt", "instruction")
            mapped.setdefault("completion", "output")
        elif mapped:
            mapped.setdefault("messages", "conversations")
        if mapped:
            reading.put(f"{at}.columns", mapped, keys)
        unread = [key for key in _OTHERS if columns.get(key)]
        if unread:
            reading.note(keys, f"has columns that are not read here: {', '.join(unread)} ({INFO})")
    tags = about.get("tags")
    if isinstance(tags, dict) and any(
        tags.get(tag, words[0]) not in words for tag, words in _TAGS.items()
    ):
        reading.note(
            keys, f"has messages with other keys than role and content, or from and value ({INFO})"
        )


def _joined(folder: str, name: str) -> str:
    return str(Path(folder) / name)
