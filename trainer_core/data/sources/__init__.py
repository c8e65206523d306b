"""Where rows come from: one file a kind of source, all of them opened here."""

import glob
import re
from pathlib import Path

from trainer_core.config.data_section import DATA_SUFFIXES, DataSource
from trainer_core.data.rows import Source
from trainer_core.data.sources.encrypted import Decrypted, decrypted_file
from trainer_core.data.sources.files import is_file
from trainer_core.data.sources.hub import HubDataset
from trainer_core.data.sources.kinds import open_file
from trainer_core.data.sources.pairs import PairedFolders
from trainer_core.data.sources.several import Limited, Several
from trainer_core.errors import UserError


def open_source(given: DataSource) -> Source:
    """The source that the config names. Raises UserError where there is none such."""
    source = _open(given)
    if given.encryption is not None and given.encryption.columns is not None:
        source = Decrypted(source, given.encryption.key_env, tuple(given.encryption.columns))
    return source if given.limit is None else Limited(source, given.limit)


def listed_files(given: DataSource) -> list[str]:
    """The files that a source reads, in order; of pairs, input and answer. Raises UserError."""
    if given.pairs is not None:
        return PairedFolders(given.pairs).files()
    if given.hub is not None:
        return HubDataset(given).files()
    return _paths(given.path or "")


def _open(given: DataSource) -> Source:
    secret = given.encryption
    key_env = secret.key_env if secret is not None and secret.columns is None else None
    if given.pairs is not None:
        return PairedFolders(given.pairs, key_env)
    if given.hub is not None:
        return HubDataset(given)
    paths = _paths(given.path or "")
    if key_env is not None:
        files: list[Source] = [decrypted_file(path, key_env) for path in paths]
    else:
        files = [open_file(path) for path in paths]
    return files[0] if len(files) == 1 else Several(given.path or "", tuple(files))


def _paths(path: str) -> list[str]:
    """The files that a path means: itself, those of a folder, or those that fit a pattern."""
    if is_file(Path(path)):
        return [path]
    try:
        if Path(path).is_dir():
            found = sorted(str(file) for file in Path(path).rglob("*") if _is_data(file))
            if not found:
                raise UserError(
                    f"the folder {path} has no data files",
                    hint="Known: .jsonl, .json, .csv, .tsv, .parquet, .txt, .md, .gz, .zst.",
                )
            return found
        if glob.has_magic(path):
            matching = glob.iglob(path, recursive=True)  # noqa: PTH207 - the pattern may be absolute
            found = sorted(file for file in matching if is_file(Path(file)))
            if not found:
                raise UserError(f"no file fits {path}")
            return found
    except (OSError, ValueError) as error:
        raise UserError(f"the data file {path} cannot be read: {error}") from None
    return [path]


def _is_data(file: Path) -> bool:
    return is_file(file) and re.search(DATA_SUFFIXES, file.name.lower()) is not None
