"""Which kind of file a path is: by its suffix, and by its first bytes where that says nothing."""

from trainer_core.data.rows import Source
from trainer_core.data.sources.content import (
    COMPRESSED,
    UNREADABLE,
    Content,
    content_of,
    not_readable,
)
from trainer_core.data.sources.csv_file import CsvFile
from trainer_core.data.sources.json_file import JsonFile
from trainer_core.data.sources.jsonl import JsonlFile, JsonlStream
from trainer_core.data.sources.parquet import ParquetFile, ParquetStream
from trainer_core.data.sources.text_file import TextFile
from trainer_core.errors import UserError

# How files begin that are compressed, whatever they are called.
_PACKED = {b"\x1f\x8b\x08": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}


def open_file(path: str) -> Source:
    """The source in a file. Raises UserError where it cannot be read or is of no known kind."""
    return source_of(content_of(path))


def source_of(content: Content, *, in_memory: bool = False) -> Source:
    """The source that `content` is, by its path and its first bytes; `in_memory` content must be
    read through `content`, never from its path."""
    name = content.path.lower()
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    head = _head(content)
    plain = not in_memory and not content.path.lower().endswith(COMPRESSED)
    if head.startswith(b"PAR1"):
        if content.path.lower().endswith(COMPRESSED):
            raise UserError(
                f"{content.path} is Parquet in a compressed file", hint="Decompress it."
            )
        return ParquetFile(content.path) if plain else ParquetStream(content)
    if name.endswith(".parquet"):
        raise UserError(
            f"{content.path} is not a Parquet file, or is cut off", hint="Fetch it again."
        )
    for mark, suffix in _PACKED.items():
        if head.startswith(mark):
            raise UserError(
                f"{content.path} is compressed, and its name does not say so",
                hint=f"Let its name end in {suffix}.",
            )
    if name.endswith((".csv", ".tsv")):
        return CsvFile(content, "\t" if name.endswith(".tsv") else "")
    if name.endswith((".txt", ".md", ".markdown")):
        return TextFile(content)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"[") and not start.startswith(b"[" * 20):
        return JsonFile(content)
    if start.startswith(b"{") and name.endswith(".json") and _is_one_object(content):
        return JsonFile(content)
    if start.startswith((b"{", b"[")) or not start or name.endswith((".jsonl", ".ndjson", ".json")):
        return JsonlFile(content.path) if plain else JsonlStream(content)
    raise UserError(
        f"{content.path} is of no known kind",
        hint="Known: .jsonl, .json, .csv, .tsv, .parquet, .txt, .md, also compressed (.gz, .zst).",
    )


def _head(content: Content) -> bytes:
    try:
        with content.open() as file:
            return file.read(4096)
    except (*UNREADABLE, ValueError) as error:
        raise not_readable(content.path, error) from None


def _is_one_object(content: Content) -> bool:
    """Whether a .json file that begins with an object is that object, not one object a line."""
    with content.open() as file:
        first, second = file.readline(1 << 20), file.readline(64)
    return not (first.strip().endswith(b"}") and second.strip().startswith(b"{"))
