"""Paired folders: input files and answer files that share a base name."""

import fnmatch
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer_core.config.data_section import PairsSection
from trainer_core.data.rows import MOST_ROW, Chunk, Row, Source, rows_of
from trainer_core.data.sources.encrypted import Decrypted, decrypted_bytes
from trainer_core.data.sources.files import content_fingerprint, opened
from trainer_core.data.sources.parquet import ParquetFile
from trainer_core.data.sources.several import in_chunks
from trainer_core.errors import UserError

SHOWN = 5


@dataclass(frozen=True)
class PairedFolders:
    """Rows of id, prompt and completion: one for each answer file, in the order of their names.
    With `key_env`, inputs and answers are Fernet tokens."""

    pairs: PairsSection
    key_env: str | None = None

    @property
    def name(self) -> str:
        """The folder of the inputs."""
        return self.pairs.inputs

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        """Some pairs at a time. Raises UserError for names that stand on one side only."""
        return in_chunks(self._rows())

    def files(self) -> list[str]:
        """Every input and answer that is read."""
        answers = _files(self.pairs.answers, self.pairs.answer_mask)
        if self.pairs.input_column is not None:
            return [self.pairs.inputs, *answers.values()]
        inputs = _files(self.pairs.inputs, self.pairs.input_mask)
        _same_names(set(inputs), set(answers), self.pairs)
        return [path for name in sorted(inputs) for path in (inputs[name], answers[name])]

    def fingerprint(self) -> str:
        """Of all files and the prompt."""
        prompt = [self.pairs.prompt] if self.pairs.prompt else []
        facts = "\n".join(
            f"{path}\0{content_fingerprint(path)}" for path in [*self.files(), *prompt]
        )
        facts += self.pairs.model_dump_json()
        return hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()

    def _rows(self) -> Iterator[Row]:
        pairs = self.pairs
        prompt = _read(pairs.prompt) if pairs.prompt else ""
        answers = _files(pairs.answers, pairs.answer_mask)
        if pairs.input_column is not None:
            texts = self._column(pairs.input_column)
            _same_names(set(texts), set(answers), pairs)
        else:
            inputs = _files(pairs.inputs, pairs.input_mask)
            _same_names(set(inputs), set(answers), pairs)
            texts = {}
        for name in sorted(answers):
            text = texts[name] if texts else _read(inputs[name], self.key_env)
            cells = {
                "id": name,
                "prompt": _with_prompt(prompt, text, pairs.placeholder),
                "completion": _read(answers[name], self.key_env),
            }
            yield Row(answers[name], 1, cells)

    def _column(self, column: str) -> dict[str, str]:
        pairs = self.pairs
        source: Source = ParquetFile(pairs.inputs)
        if self.key_env is not None:
            source = Decrypted(source, self.key_env, (column,))
        texts: dict[str, str] = {}
        for row in rows_of(source):
            if row.problem is not None:
                raise row.problem.error()
            for wanted in (pairs.id_column, column):
                if wanted not in row.data:
                    raise UserError(
                        f"no column {wanted!r}",
                        where=pairs.inputs,
                        hint=f"Columns: {', '.join(map(str, row.data))}.",
                    )
            texts[str(row.data[pairs.id_column])] = str(row.data[column])
        return texts


def _files(folder: str, mask: str) -> dict[str, str]:
    """Base names to paths of the files in a folder that fit a glob, or, as earlier tools had it, a
    regular expression."""
    try:
        names = sorted(path for path in Path(folder).iterdir() if path.is_file())
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be read: {error.strerror}") from None
    found = [path for path in names if fnmatch.fnmatch(path.name, mask)]
    if not found:
        try:
            found = [path for path in names if re.search(mask, path.name)]
        except re.error:
            found = []
    if not found:
        raise UserError(f"no file in {folder} fits {mask!r}")
    files: dict[str, str] = {}
    for path in found:
        if path.stem in files:
            raise UserError(f"{files[path.stem]} and {path} have the same base name")
        files[path.stem] = str(path)
    return files


def _same_names(inputs: set[str], answers: set[str], pairs: PairsSection) -> None:
    for names, what, where in (
        (answers - inputs, "answers without an input", pairs.answers),
        (inputs - answers, "inputs without an answer", pairs.inputs),
    ):
        if names:
            shown = ", ".join(sorted(names)[:SHOWN]) + (", …" if len(names) > SHOWN else "")
            raise UserError(
                f"{len(names):,} {what}: {shown}",
                where=where,
                hint="Add what is missing, or narrow input_mask and answer_mask.",
            )


def _read(path: str, key_env: str | None = None) -> str:
    if key_env is not None:
        data = decrypted_bytes(path, key_env)
    else:
        with opened(path) as file:
            data = file.read(MOST_ROW + 1)
    if len(data) > MOST_ROW:
        raise UserError(
            f"{path} is larger than {MOST_ROW >> 20} MiB, and a file is one row",
            hint="Cut it into several.",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _with_prompt(prompt: str, text: str, placeholder: str) -> str:
    if not prompt:
        return text
    if placeholder in prompt:
        return prompt.replace(placeholder, text)
    return f"{prompt.rstrip()}\n\n{text}"
