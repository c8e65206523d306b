"""Fernet tokens instead of text. The key comes from the environment, in whichever process needs it;
what was decrypted is never written."""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from trainer_core.data.problems import Problem
from trainer_core.data.rows import Chunk, Row, Source
from trainer_core.data.sources.content import COMPRESSED, Content
from trainer_core.data.sources.files import content_fingerprint, opened
from trainer_core.errors import UserError

MAX_FILE = 2 << 30
_SUFFIXES = (".fernet", ".enc")


@dataclass(frozen=True)
class Decrypted:
    """A source with encrypted columns: each cell of them is a token."""

    source: Source
    key_env: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the source is called."""
        return self.source.name

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """The source's chunks, decrypted where their rows are read."""
        _cipher(self.key_env)  # a missing key is said at once
        for count, chunk in self.source.chunks():
            yield count, DecryptedChunk(chunk, self.key_env, self.columns)

    def fingerprint(self) -> str:
        """Of what is encrypted."""
        return f"{self.source.fingerprint()}:{','.join(self.columns)}"


@dataclass(frozen=True, slots=True)
class DecryptedChunk:
    """Names the key, and never holds it."""

    chunk: Chunk
    key_env: str
    columns: tuple[str, ...]

    def rows(self) -> Iterator[Row]:
        """Rows in clear. A cell that is no token is the row's problem; where none of the rows
        decrypts, the key is wrong, which raises UserError."""
        cipher = _cipher(self.key_env)
        rows = [_decrypted(row, cipher, self.columns) for row in self.chunk.rows()]
        if rows and all(row.problem is not None for row in rows):
            raise UserError(
                f"nothing here can be decrypted with the key in {self.key_env}",
                where=rows[0].where,
                hint="It is another key, or the columns hold no Fernet tokens.",
            )
        return iter(rows)


def decrypted_file(path: str, key_env: str) -> Source:
    """A file that is one token, or one token a line; of the kind that its name says. Raises
    UserError."""
    from trainer_core.data.sources.kinds import source_of

    inner = path
    for suffix in _SUFFIXES:
        inner = inner.removesuffix(suffix)
    if inner.lower().endswith((*COMPRESSED, ".parquet")):
        raise UserError(
            f"{path}: only text can be read from an encrypted file",
            hint="Encrypt JSONL, JSON, CSV or text; of Parquet the columns.",
        )

    def decrypt() -> IO[bytes]:
        return io.BytesIO(decrypted_bytes(path, key_env))

    clear = Content(inner, decrypt, lambda: content_fingerprint(path))
    return source_of(clear, in_memory=True)


def decrypted_bytes(path: str, key_env: str) -> bytes:
    """What a file of one token, or of one token a line, says. Raises UserError."""
    from cryptography.fernet import InvalidToken

    cipher = _cipher(key_env)
    with opened(path) as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise UserError(
            f"{path} is larger than {MAX_FILE >> 20} MiB, and must be decrypted as a whole",
            hint="Cut it into several files.",
        )
    tokens = data.split()
    pieces = []
    for number, token in enumerate(tokens, 1):
        try:
            pieces.append(cipher.decrypt(token))
        except InvalidToken:
            raise UserError(
                f"cannot be decrypted with the key in {key_env}",
                where=f"{path}:{number}",
                hint="It is another key, or the file holds no Fernet tokens.",
            ) from None
    return b"\n".join(pieces)


def _cipher(key_env: str) -> Any:
    try:
        from cryptography.fernet import Fernet
    except ImportError:
        raise UserError(
            "encrypted data needs the package cryptography", hint="pip install cryptography"
        ) from None
    key = os.environ.get(key_env, "")
    if not key:
        raise UserError(
            f"the environment variable {key_env} is not set",
            hint=f"It must hold the Fernet key: export {key_env}=…",
        )
    try:
        return Fernet(key.encode())
    except ValueError:
        raise UserError(
            f"the environment variable {key_env} holds no Fernet key",
            hint="A key is 32 bytes in URL-safe base64: 44 characters.",
        ) from None


def _decrypted(row: Row, cipher: Any, columns: tuple[str, ...]) -> Row:
    from cryptography.fernet import InvalidToken

    if row.problem is not None:
        return row
    cells = dict(row.data)
    for column in columns:
        value = cells.get(column)
        try:
            if not isinstance(value, str):
                raise InvalidToken
            cells[column] = cipher.decrypt(value.encode()).decode("utf-8")
        except (InvalidToken, UnicodeDecodeError):
            message = f"the cell {column!r} cannot be decrypted"
            return Row(row.path, row.line, problem=Problem("unreadable", row.where, message))
    return Row(row.path, row.line, cells)
