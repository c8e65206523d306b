"""Any row at once: what comes after it is not read, what came before is not kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer_core.config.data_section import DataSource
from trainer_core.data import pages
from trainer_core.data.pages import Pages
from trainer_core.data.rows import Chunk, Row
from trainer_core.data.sources import open_source
from trainer_core.data.sources.jsonl import JsonlFile, LineBlock, count_rows
from trainer_core.errors import UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """About 3 MiB, so several chunks; every seventh line is blank."""
    path = tmp_path / "rows.jsonl"
    with path.open("w") as out:
        for number in range(3000):
            out.write(json.dumps({"n": number, "text": "x" * 1000}) + "\n")
            out.write("\n" * (number % 7 == 0))
    return path


@dataclass
class Held:
    """A source whose chunks hold their rows, as those of a compressed file do."""

    size: int
    name: str = "held.jsonl.gz"
    padding: int = 8000
    opened: list[int] = field(default_factory=list)

    def chunks(self) -> Iterator[tuple[int, Chunk]]:
        self.opened.append(0)
        for first in range(0, self.size, 3):
            rows = [
                {"n": n, "text": "x" * self.padding}
                for n in range(first, min(first + 3, self.size))
            ]
            block = "".join(json.dumps(row) + "\n" for row in rows).encode()
            yield count_rows(block)[0], LineBlock(self.name, block, first + 1)

    def fingerprint(self) -> str:
        return "held"


def numbers(rows: list[Row]) -> list[int]:
    return [row.data["n"] for row in rows]


def test_the_first_page_reads_the_first_chunk_only(file: Path) -> None:
    first = Pages(JsonlFile(str(file)))
    assert numbers(first.rows(0, 5)) == [0, 1, 2, 3, 4]
    assert 5 <= first.known < 1500
    assert not first.complete


def test_a_huge_file_opens_as_fast_as_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as out:  # 10 GiB of holes, no bytes on the disk
        out.write(b'{"n": 0}\n' * 200_000)
        out.truncate(10 << 30)
    huge = Pages(JsonlFile(str(path)))
    assert numbers(huge.rows(1000, 2)) == [0, 0]
    assert huge.known < 200_000


def test_forward_back_and_beyond_the_end(file: Path) -> None:
    found = Pages(JsonlFile(str(file)))
    assert numbers(found.rows(2990, 50)) == list(range(2990, 3000))
    assert found.complete
    assert found.known == 3000
    assert numbers(found.rows(0, 2)) == [0, 1]
    assert found.rows(3000, 5) == []
    assert found.rows(5, 1)[0].line == 7  # blank lines are no rows, but they are lines


def test_a_source_that_breaks_off_stays_broken(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("n\n" + "1\n" * 700 + '"never closed\n' + "1\n" * 9)
    found = Pages(open_source(DataSource(path=str(file))))
    assert len(found.rows(0, 500)) == 500
    for _ in range(2):
        with pytest.raises(UserError, match=r"a\.csv:702"):
            found.rows(600, 200)
        assert not found.complete


def test_a_mark_at_the_beginning_is_no_row(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf\n{"n": 0}\n{"n": 1}\n')
    found = Pages(JsonlFile(str(file)))
    assert [found.row(n).data["n"] for n in range(2)] == [0, 1]  # type: ignore[union-attr]
    assert found.row(2) is None
    assert numbers(found.rows(0, 9)) == [0, 1]


def test_few_parsed_chunks_are_kept(file: Path) -> None:
    found = Pages(JsonlFile(str(file)))
    for start in range(0, 3000, 50):
        found.rows(start, 50)
    assert len(found._parsed) <= pages.KEPT_CHUNKS


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 45), st.integers(0, 12)), max_size=12),
)
def test_any_order_of_pages_gives_the_same_rows(size: int, held: bool, asked) -> None:
    found = Pages(Held(size, padding=8000 if held else 1))
    for start, count in asked:
        assert numbers(found.rows(start, count)) == list(range(size))[start : start + count]


def test_what_a_chunk_holds_is_let_go_and_read_again() -> None:
    source = Held(600)
    found = Pages(source)
    found.rows(590, 5)
    assert all(place is None for place in found._places)
    assert numbers(found.rows(10, 3)) == [10, 11, 12]
    assert numbers(found.rows(300, 3)) == [300, 301, 302]  # goes on from there
    assert len(source.opened) == 2


def test_a_file_that_shrank_gives_what_is_left(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "KEPT_CHUNKS", 1)
    found = Pages(JsonlFile(str(file)))
    found.rows(2999, 1)
    found.rows(1500, 1)
    file.write_text('{"n": 0}\n')
    assert found.rows(2999, 1) == []
    assert numbers(found.rows(0, 2))[:1] == [0]


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        Pages(JsonlFile(str(tmp_path / "no.jsonl"))).rows(0, 1)
