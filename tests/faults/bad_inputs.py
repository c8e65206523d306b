"""Every input that must end as exit status 2 and one sentence: how it is laid out, what is called,
and what is said. benchmarks/bad_inputs.py runs the real command on the same list."""

import gzip
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.fernet import Fernet

DEMO = Path(__file__).parents[2] / "configs" / "demo"
GOOD = f"model:\n  base: {DEMO / 'base'}\ndata:\n  train: {DEMO / 'train.jsonl'}\n"
TALK = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
PAIR = '{"question": "a", "answer": "b"}\n'


@dataclass(frozen=True)
class BadInput:
    """`lay` writes it into a folder and returns the arguments of `backprop` that meet it there.
    `words` stand in the sentence, and `place` does: the end of path:line."""

    name: str
    lay: Callable[[Path], list[str]]
    words: str
    place: str = ""


def _config(name: str, content: str | bytes, words: str, line: int | None = None) -> BadInput:
    def lay(folder: Path) -> list[str]:
        text = content if isinstance(content, bytes) else content.encode()
        (folder / "run.yaml").write_bytes(text)
        return ["train", "run.yaml", "--headless"]

    return BadInput(f"config: {name}", lay, words, f"run.yaml:{line}:" if line else "")


def _field(name: str, field: str, words: str = "") -> BadInput:
    section, _, value = field.partition(".")
    text = f"{GOOD}{section}:\n  {value}\n"
    return _config(name, text, words or f"{section}.{value.partition(':')[0]}", 6)


def _made(name: str, make: Callable[[Path], object], words: str) -> BadInput:
    """A config that is no ordinary file: `make` puts it at the path that it gets."""

    def lay(folder: Path) -> list[str]:
        make(folder / "run.yaml")
        return ["train", "run.yaml", "--headless"]

    return BadInput(f"config: {name}", lay, words)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(n + 1)}: &{chr(n + 1)} [{','.join([f'*{chr(n)}'] * 9)}]\n" for n in range(97, 107)
)

CONFIGS = [
    _field("a rate that is not a number", "training.learning_rate: .nan"),
    _field("a rate without end", "training.learning_rate: .inf"),
    _field("a rate below nothing", "training.learning_rate: -2e-4"),
    _field("no rate at all", "training.learning_rate: 0"),
    _field("no batch", "training.batch_size: 0"),
    _field("a batch below nothing", "training.batch_size: -1"),
    _field("no epochs", "training.epochs: 0"),
    _field("epochs below nothing", "training.epochs: -1"),
    _field("a number of 5,000 digits", f"training.steps: {'9' * 5000}"),
    _config("a key that stands twice", GOOD + "training:\n  seed: 1\n  seed: 2\n", "twice", 7),
    _config("a key that is not known", GOOD + "trainig:\n  seed: 1\n", "Did you mean training?", 5),
    _field("no as a number", "training.steps: no"),
    _field("on as a number", "training.steps: on"),
    _field("a time as a number", "training.steps: 12:30:45"),
    _config("aliases of aliases", _BOMB, "too large"),
    _config("an alias of itself", "model: &m\n  base: *m\n", "too deep"),
    _config("a thousand levels", "a: " + "[" * 1000 + "]" * 1000 + "\n", "nested too deeply", 1),
    _config("a tab", GOOD + "training:\n\tseed: 1\n", "tab", 6),
    _config("Latin-1", GOOD.encode() + b"run:\n  name: caf\xe9\n", "not UTF-8", 6),
    _config("a null byte", GOOD + "run:\n  name: a\0b\n", "not valid YAML", 6),
    _config("empty", "", "empty"),
    _config("a list", "- 1\n", "not a mapping"),
    _config("two documents", f"---\n{GOOD}---\n{GOOD}", "not valid YAML"),
    _config("a Python tag", GOOD + "run: !!python/object/apply:os.system [ls]\n", "not allowed", 5),
    _config("a Python name", GOOD + "run: !!python/name:os.system x\n", "not allowed", 5),
    _field("a tag that does not fit", "training.steps: !!int x", "'x' is no int"),
    _made("a folder", Path.mkdir, "run.yaml"),
    _made("a pipe", lambda path: os.mkfifo(path), "not a regular file"),
    _made("a device", lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    _made("a link to itself", lambda path: path.symlink_to(path), "cannot be opened"),
    _made("not there", lambda path: None, "does not exist"),
    _made("a gigabyte", _large, "has 1,073,741,824 bytes"),
    _field("a name with a path", "run.name: ../../x"),
    _field("a name from the root", "run.name: /etc/x"),
    _field("a name of 300 letters", f"run.name: {'x' * 300}"),
    _field("a token", f"run.name: hf_{'a' * 34}", "a Hugging Face token"),
    _field("a key where its name belongs", f"run.name: {'k' * 43}=", "a Fernet key"),
    _field("a password", "run.folder: https://me:secret@host/model", "a password"),
    BadInput(
        "config: trust as text",
        lambda folder: _train(str(DEMO / "train.jsonl"), "--set", 'model.trust_remote_code="true"'),
        "model.trust_remote_code",
    ),
]  # fmt: skip


def _data(
    name: str, content: str | bytes, words: str, line: int | None = None, file: str = "a.jsonl"
) -> BadInput:
    def lay(folder: Path) -> list[str]:
        text = content if isinstance(content, bytes) else content.encode()
        (folder / file).write_bytes(text)
        return _train(file)

    return BadInput(f"data: {name}", lay, words, f"{file}:{line}:" if line else "")


def _table(name: str, change: Callable[[bytes], bytes], words: str) -> BadInput:
    def lay(folder: Path) -> list[str]:
        path = folder / "a.parquet"
        pq.write_table(pa.table({"question": [1, 2] * 500, "answer": ["b", "c"] * 500}), path)
        path.write_bytes(change(path.read_bytes()))
        return _train("a.parquet")

    return BadInput(f"data: {name}", lay, words)


def _train(file: str, *more: str) -> list[str]:
    base = str(DEMO / "base")
    return ["train", "--data", file, "--model", base, "--steps", "1", "--headless", *more]


def _wrong_key(folder: Path) -> list[str]:
    token = Fernet(Fernet.generate_key()).encrypt(PAIR.encode())
    (folder / "a.jsonl.fernet").write_bytes(token)
    os.environ["BAD_INPUTS_KEY"] = Fernet.generate_key().decode()
    config = "data:\n  train: {path: a.jsonl.fernet, encryption: {key_env: BAD_INPUTS_KEY}}\n"
    (folder / "run.yaml").write_text(f"model:\n  base: {DEMO / 'base'}\n{config}")
    return ["train", "run.yaml", "--headless"]


DATA = [
    _data("empty", "", "has no rows"),
    _data("white space only", "\n \n", "has no rows"),
    _data("a header and nothing else", "question,answer\n", "has no rows", file="a.csv"),
    _data("a last line that is cut off", TALK * 2 + TALK[:20], "cut off", 3),
    _data("two formats", TALK + PAIR, "another format", 2),
    _data("null", '{"question": null, "answer": null}\n', "is null", 1),
    _data("null in the middle", TALK + '{"messages": null}\n', "is null", 2),
    _data("a line of 100 MB", '{"question": "' + "x" * (100 << 20), "more than 16 MiB", 1),
    _data("NaN", '{"question": NaN, "answer": "b"}\n', "is a number, not text", 1),
    _data("a key that stands twice", '{"question": "a", "question": "b"}\n', "stands twice", 1),
    _data("100,000 levels", '{"question": ' + "[" * 100_000, "nested too deeply", 1),
    _data("100,000 levels of a list", "[ " + '{"a":' * 100_000, "nested too deeply", 1, "a.json"),
    _data("half a letter", '{"question": "\\ud800", "answer": "b"}\n', "U+D800", 1),
    _data("a control byte", '{"question": "\\u001b[31m", "answer": "b"}\n', "U+001B", 1),
    _data("a number of 5,000 digits", f'{{"question": {"9" * 5000}}}\n', "thousands of digits", 1),
    _data("no answer", '{"messages": [{"role": "user", "content": "a"}]}\n', "nothing to learn", 1),
    _data(
        "roles out of order",
        '{"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}\n',
        "speaks first",
        1,
    ),
    _data("an empty turn", '{"question": "", "answer": ""}\n', "is empty", 1),
    _data("no objects", "1\n2\n", "not an object", 1),
    _data("bytes of nothing", b"\xff\xfe\x00" * 99, "not UTF-8", 1),
    _data("another program", b"\x7fELF" + b"\0" * 99, "no known kind", file="a.bin"),
    _data("a pickle", b"\x80\x04cos\nsystem\n", "no known kind", file="a.pkl"),
    _data("gzip without the name", gzip.compress(PAIR.encode()), "Let its name end in .gz"),
    _data("the name without gzip", PAIR, "is not gzip", file="a.jsonl.gz"),
    _data("gzip cut off", gzip.compress(os.urandom(999))[:-9], "cut off", file="a.jsonl.gz"),
    _data("300 MB in a small gzip", gzip.compress(bytes(300 << 20)), "16 MiB", 1, "a.jsonl.gz"),
    _data("a quote never closed", 'question,answer\na,b\n"c,d\n' + "e,f\n" * 20_000, "never closed",
          3, "a.csv"),
    _data("a field of 17 MB", f'question,answer\n"{"x" * (17 << 20)}",b\n', "field limit", 2,
          "a.csv"),
    _data("a row too short", "question,answer\na\n", "1 cells", 2, "a.csv"),
    _table("a table cut off", lambda whole: whole[: len(whole) // 2], "is damaged"),
    _table("a table that lies", lambda whole: whole[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1",
           "is damaged"),
    _table("a table of the wrong types", lambda whole: whole, "is a number, not text"),
    BadInput("data: a pipe", lambda f: (os.mkfifo(f / "a.jsonl"), _train("a.jsonl"))[1],
             "not a regular file"),
    BadInput("data: a folder without any", lambda f: ((f / "d").mkdir(), _train("d"))[1],
             "no data files"),
    BadInput("data: not there", lambda f: _train("none.jsonl"), "does not exist"),
    BadInput("data: a name with a null byte", lambda f: _train("a\0b.jsonl"), "cannot be read"),
    BadInput("data: the wrong key", _wrong_key, "another key"),
]  # fmt: skip


def _model(name: str, changes: dict[str, object], words: str) -> BadInput:
    """The demo's base with some files replaced: by bytes, by an object as JSON, or by a function
    that makes them."""

    def lay(folder: Path) -> list[str]:
        base = folder / "base"
        base.mkdir()
        for path in (DEMO / "base").iterdir():
            change = changes.get(path.name, path)
            if isinstance(change, Path):
                (base / path.name).symlink_to(change)
        for file, change in changes.items():
            if callable(change):
                change(base / file)
            elif isinstance(change, bytes):
                (base / file).write_bytes(change)
            elif change is not None:
                (base / file).write_text(json.dumps(change))
        rows = DEMO / "train.jsonl"
        return ["train", "--data", str(rows), "--model", "base", "--steps", "1", "--headless"]

    return BadInput(f"model: {name}", lay, words)


def _weights(entries: dict[str, object]) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 16


_SETTINGS = json.loads((DEMO / "base" / "config.json").read_text())
_TENSOR = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
_INDEX = "model.safetensors.index.json"
_ADAPTER = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "b"}


def _adapter(name: str, changes: dict[str, object], words: str) -> BadInput:
    def lay(folder: Path) -> list[str]:
        (folder / "adapter").mkdir()
        text = json.dumps({**_ADAPTER, **changes})
        (folder / "adapter" / "adapter_config.json").write_text(text)
        return _train(str(DEMO / "train.jsonl"), "--set", "lora.adapter=adapter")

    return BadInput(f"adapter: {name}", lay, words)


MODELS = [
    _model("code in model_type",
           {"config.json": {**_SETTINGS, "model_type": "llama\nimport os; os.system('touch PWN')"}},
           "no model_type"),
    _model("no config.json", {"config.json": None}, "no config.json"),
    _model("config.json is a list", {"config.json": [1]}, "not a JSON object"),
    _model("config.json of 100,000 levels", {"config.json": b'{"a":' * 100_000}, "deep"),
    _model("config.json is a pipe", {"config.json": lambda path: os.mkfifo(path)}, "not a regular"),
    _model("config.json of a gigabyte", {"config.json": _large}, "larger than 16 MiB"),
    _model("config.json in Latin-1", {"config.json": b'{"a": "\xe9"}'}, "not UTF-8"),
    _model("a header longer than the file", {"model.safetensors": struct.pack("<Q", 2**62) + b"{}"},
           "not a whole safetensors file"),
    _model("tensors over each other",
           {"model.safetensors": _weights({"a": _TENSOR, "b": _TENSOR})}, "over each other"),
    _model("a shape that lies",
           {"model.safetensors": _weights({"a": {**_TENSOR, "shape": [10**9, 10**9]}})},
           "not as large as its shape"),
    _model("a shape below nothing",
           {"model.safetensors": _weights({"a": {**_TENSOR, "shape": [-4]}})}, "no size"),
    _model("an index with a way out",
           {"model.safetensors": None, _INDEX: {"weight_map": {"a": "../../etc/passwd"}}},
           "no file of its folder"),
    _model("an index from the root",
           {"model.safetensors": None, _INDEX: {"weight_map": {"a": "/etc/passwd"}}},
           "no file of its folder"),
    _adapter("a rank of a billion", {"r": 10**9}, "the rank r is 1000000000"),
    _adapter("a rank of text", {"r": "4"}, "the rank r is '4'"),
    _adapter("an alpha that is not a number", {"lora_alpha": float("nan")}, "lora_alpha is nan"),
    _adapter("a pattern without end", {"target_modules": "(a+)+$"}, "could take forever"),
    _adapter("a module to import", {"megatron_config": {"a": 1}, "megatron_core": "evil"},
             "names Python code to be run"),
    _adapter("another kind", {"peft_type": "PROMPT_TUNING"}, "PROMPT_TUNING adapter"),
]  # fmt: skip


def _export(name: str, arguments: list[str], words: str) -> BadInput:
    """An export of the demo's base, which lies in the folder, as `arguments` say."""

    def lay(folder: Path) -> list[str]:
        (folder / "base").symlink_to(DEMO / "base")
        (folder / "taken").mkdir()
        (folder / "taken" / "mine.txt").write_text("mine")
        return ["export", "base", *arguments]

    return BadInput(f"export: {name}", lay, words)


EXPORTS = [
    *(
        _export(f"the name {shown}", ["-f", "merged", "--name", name], "name")
        for shown, name in {
            "../../x": "../../x", "/etc/x": "/etc/x", "with a null byte": "a\0b",
            "of 300 letters": "x" * 300, "with a shell in it": "x; touch PWN #",
            "with a dash before": "-rf",
        }.items()
    ),
    _export("a quantization that is not known", ["-f", "gguf", "-q", "q4_9"], "q4_9"),
    _export("a format that is not known", ["-f", "exe"], "exe"),
    _export("a folder that holds something", ["-f", "merged", "--output", "taken"], "not empty"),
    _export("a folder with a null byte", ["-f", "merged", "--output", "a\0b"], "null byte"),
    _export("a name that Ollama cannot have", ["-f", "gguf", "--ollama-name", "a b;c"], "ollama"),
    _export("a repository with a way out", ["-f", "merged", "--push", "../../x"], "owner/name"),
    BadInput("export: nothing there", lambda f: ["export", "none", "-f", "merged"],
             "runs"),
]  # fmt: skip

EVERY = [*CONFIGS, *DATA, *MODELS, *EXPORTS]
