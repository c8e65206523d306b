"""What reads bytes that came from outside, each as a function of bytes, with the errors that it may
end in. The fuzzers (test_fuzz.py, and fuzz.py with atheris) throw anything at them."""

import json
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from trainer_core.config.data_section import DataSection
from trainer_core.config.load import load_source
from trainer_core.config.yaml_file import parse_yaml
from trainer_core.data.conversations import Conversation, Turn
from trainer_core.data.opening import first_conversations, open_sources
from trainer_core.engine.checkpoint import MANIFEST, damage
from trainer_core.errors import UserError
from trainer_core.planning.adapter_config import read_adapter_config
from trainer_core.planning.resolved_file import read_resolved
from trainer_core.planning.safetensors_header import indexed_files, read_header
from trainer_core.runs.events import decode
from trainer_core.runs.flight import read_flight
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import last_line, read_lines
from trainer_core.runs.status import read_status
from trainer_core.text import clean, one_line
from trainer_core.tokens.chat_template import ChatTemplate
from trainer_core.worker.protocol import from_client, greeting

Entry = Callable[[bytes], Any]
_PLACE = Path(tempfile.mkdtemp(prefix="fuzz-"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _config(data: bytes) -> None:
    load_source(parse_yaml(_text(data), "fuzzed.yaml"), _PLACE)


def _rows(name: str) -> Entry:
    def read(data: bytes) -> None:
        path = _PLACE / name
        path.write_bytes(data)
        section = DataSection.model_validate({"train": str(path)})
        for source in open_sources(section):
            for _ in islice(first_conversations(section, source), 20):
                pass

    return read


def _folder(name: str, read: Callable[[Path], Any]) -> Entry:
    """`read` is given the folder in which a file of this name holds the bytes."""
    folder = Path(tempfile.mkdtemp(dir=_PLACE))

    def call(data: bytes) -> None:
        (folder / name).write_bytes(data)
        read(folder)

    return call


def _template(data: bytes) -> None:
    """What runs in the process of tokens/render_process.py, without its bounds."""
    talk = Conversation("x:1", (Turn("user", "How many?"), Turn("assistant", "Many.")))
    ChatTemplate(_text(data), "<s>", "</s>").render_with_spans(talk)


def _cleaned(data: bytes) -> None:
    text = _text(data)
    for shown in (clean(text), one_line(text)):
        shown.encode()
        assert "\x1b" not in shown
        assert "\x9b" not in shown
    json.dumps(one_line(text))


# Name: what reads, and what it may raise.
ENTRIES: dict[str, tuple[Entry, tuple[type[Exception], ...]]] = {
    "config": (_config, (UserError,)),
    "jsonl": (_rows("fuzzed.jsonl"), (UserError,)),
    "json": (_rows("fuzzed.json"), (UserError,)),
    "csv": (_rows("fuzzed.csv"), (UserError,)),
    "text": (_rows("fuzzed.txt"), (UserError,)),
    "gzip": (_rows("fuzzed.jsonl.gz"), (UserError,)),
    "parquet": (_rows("fuzzed.parquet"), (UserError,)),
    "template": (_template, (UserError, MemoryError)),
    "safetensors": (
        _folder("model.safetensors", lambda f: read_header(f / "model.safetensors")),
        (UserError,),
    ),
    "shard index": (_folder("model.safetensors.index.json", indexed_files), (UserError,)),
    "adapter": (_folder("adapter_config.json", read_adapter_config), (UserError,)),
    "resolved.yaml": (
        _folder("resolved.yaml", lambda f: read_resolved(f / "resolved.yaml")),
        (UserError,),
    ),
    "manifest": (_folder(MANIFEST, damage), (UserError,)),
    "status.json": (_folder("status.json", lambda f: read_status(RunFolder(f))), ()),
    "flight.json": (_folder("flight.json", lambda f: read_flight(RunFolder(f))), ()),
    "event": (decode, (ValueError,)),
    "events.jsonl": (
        _folder(
            "events.jsonl",
            lambda f: (list(read_lines(f / "events.jsonl")), last_line(f / "events.jsonl")),
        ),
        (),
    ),
    "command": (from_client, (ValueError,)),
    "greeting": (greeting, (ValueError,)),
    "shown text": (_cleaned, ()),
}


# Words that the readers look for, so that what is drawn comes further than the first check.
WORDS: dict[str, list[str]] = {
    "config": [
        "model:",
        " base: b\n",
        "data:",
        " train: ",
        "training: {steps: 1}",
        "&a",
        "*a",
        "!!",
        "preset",
    ],
    "template": [
        "{%",
        "%}",
        "{{",
        "}}",
        "for m in messages",
        "m['content']",
        "endfor",
        "if",
        "|",
        "~",
    ],
    "jsonl": [
        '{"messages": [',
        '{"role": "user", "content": "',
        '"}',
        "]}",
        "\n",
        '"prompt"',
        "text",
    ],
    "csv": ["question,answer\n", '"', ",", "\r\n", "\0"],
    "safetensors": [
        "\x40\0\0\0\0\0\0\0",
        '{"a":{"dtype":"F32","shape":[',
        '],"data_offsets":[0,',
        "]}}",
    ],
    "adapter": ['{"peft_type": "LORA", "r": ', ', "lora_alpha": ', "}", '"target_modules"', "16"],
    "manifest": ['{"format": 2, "files": {', '"x": "', '"}}', "{}"],
    "event": ['{"type": "', "metrics", '", "step": ', "}", '"n": 1', "values"],
}
WORDS["json"] = WORDS["gzip"] = WORDS["jsonl"]
WORDS["shard index"] = ['{"weight_map": {', '"a": "model-1.safetensors"', "}}", "../", '"metadata"']
WORDS["events.jsonl"] = WORDS["greeting"] = WORDS["command"] = WORDS["event"]
WORDS["status.json"] = WORDS["flight.json"] = WORDS["resolved.yaml"] = WORDS["event"]


def attempt(name: str, data: bytes) -> None:
    """Throw bytes at an entry; an error that it may end in is none."""
    entry, allowed = ENTRIES[name]
    try:
        entry(data)
    except allowed:
        return
