"""The rows of each split, written as files that anyone can train from."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer_core.config.data_section import SPLITS, DataSection
from trainer_core.errors import UserError
from trainer_core.tokens.prepare import Prepared


def _line(cells: dict[str, Any]) -> str:
    text = json.dumps(cells, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which UTF-8 cannot hold
        return json.dumps(cells, default=str)
    return text


def write_splits(data: DataSection, prepared: Prepared, folder: Path) -> Iterator[tuple[Path, int]]:
    """Write train.jsonl, validation.jsonl and test.jsonl, rows as they were read; yields each file
    with its number of rows.

    Raises UserError where a file exists, or where the rows must not be written in clear.
    """
    if any(source.encryption for source in [*data.train, *data.validation, *data.test]):
        raise UserError("these rows are encrypted, and are never written in clear")
    paths = {name: folder / f"{name}.jsonl" for name in SPLITS}
    for path in paths.values():
        if path.exists():
            raise UserError(f"{path} exists", hint="Name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for name in SPLITS:
        rows = prepared.raw_rows(name)
        part = paths[name].with_suffix(".part")
        count = 0
        try:
            with part.open("w", encoding="utf-8") as file:
                for row in rows:
                    file.write(_line(row.data) + "\n")
                    count += 1
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        if count:
            part.replace(paths[name])
            yield paths[name], count
        else:
            part.unlink()
