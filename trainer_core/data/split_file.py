"""The split CSV: which row is in which split, made once, then followed and checked both ways."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer_core.config.data_section import SPLIT_WORDS, SPLITS
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.reading import read_text

# Headers that the files of earlier tools have.
ID_COLUMNS = ("id", "id_arquivo")
SPLIT_COLUMNS = ("split", "alvo", "divisão", "divisao", "grupo")
SHOWN = 5
MOST = 512 << 20  # bytes: some ten million rows


def follow_split_file(
    path: Path, ids: Sequence[str], drawn: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """The splits as the file has them, uint8 [rows]; where there is no file, `drawn` is written.

    Raises UserError for ids that stand twice, or on one side only.
    """
    _refuse_repeated(ids)
    if not path.exists():
        write_split_file(path, ids, drawn)
        return drawn
    written = read_split_file(path)
    missing = [name for name in ids if name not in written]
    if missing:
        raise UserError(
            f"the split file lacks {_some(missing)}{_nearly(missing, written)}",
            where=str(path),
            hint="Add them, or delete the file to have it made anew.",
        )
    known = set(ids)
    extra = [name for name in written if name not in known]
    if extra:
        line = written[extra[0]][1]
        raise UserError(
            f"the data lacks {_some(extra)}{_nearly(extra, known)}",
            where=f"{path}:{line}",
            hint="Take them out of the split file, or add the rows.",
        )
    return np.array([written[name][0] for name in ids], dtype=np.uint8)


def read_split_file(path: Path) -> dict[str, tuple[int, int]]:
    """Each id's split (an index of SPLITS) and the line it stands on. Raises UserError."""
    try:
        text = read_text(path, MOST).removeprefix("\ufeff")
    except FileNotFoundError:
        raise UserError(
            f"the split file {path} does not exist", hint="Check data.split.file."
        ) from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        id_at = _column(path, header, ID_COLUMNS)
        split_at = _column(path, header, SPLIT_COLUMNS)
        found: dict[str, tuple[int, int]] = {}
        for cells in lines:
            if any(cell.strip() for cell in cells):
                _take(path, lines.line_num, cells, id_at, split_at, found)
    except csv.Error as error:
        raise UserError(f"not CSV: {error}", where=f"{path}:{lines.line_num}") from None
    return found


def write_split_file(path: Path, ids: Sequence[str], splits: npt.NDArray[np.uint8]) -> None:
    """Write `id,split` for every row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "split"])
    writer.writerows((name, SPLITS[split]) for name, split in zip(ids, splits, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


def _take(
    path: Path,
    line: int,
    cells: list[str],
    id_at: int,
    split_at: int,
    found: dict[str, tuple[int, int]],
) -> None:
    where = f"{path}:{line}"
    if len(cells) <= max(id_at, split_at):
        raise UserError("a column is missing", where=where)
    name, word = cells[id_at].strip(), cells[split_at].strip().lower()
    if word not in SPLIT_WORDS:
        raise UserError(
            f"{word[:40]!r} is not a split", where=where, hint="Splits: train, validation, test."
        )
    if name in found:
        raise UserError(f"{name[:60]!r} stands twice, first on line {found[name][1]}", where=where)
    found[name] = (SPLITS.index(SPLIT_WORDS[word]), line)


def _column(path: Path, header: list[str], names: Sequence[str]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise UserError(
        f"no column {names[0]!r} (columns: {', '.join(header)[:200]})",
        where=f"{path}:1",
        hint="The first line must be: id,split",
    )


def _refuse_repeated(ids: Sequence[str]) -> None:
    if len(set(ids)) == len(ids):
        return
    seen: set[str] = set()
    repeated = [name for name in ids if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    raise UserError(
        f"rows share an id: {_some(repeated)}",
        hint="data.split.id must name a column without twins.",
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:SHOWN])
    return f"{len(names):,} ids ({shown}{', …' if len(names) > SHOWN else ''})"


def _nearly(names: Sequence[str], others: "dict[str, tuple[int, int]] | set[str]") -> str:
    """A note where ids would be found but for how a spreadsheet writes numbers."""
    plain = {_number(name) for name in others}
    found = [name for name in names if _number(name) in plain]
    return "; some differ only in leading zeros or a .0" if found else ""


def _number(name: str) -> str:
    return name.removesuffix(".0").lstrip("0") or "0"
