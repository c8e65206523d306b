"""Any row at once, in any order, whatever the chunks."""

import json
import random
from pathlib import Path

from trainer_core.config.data_section import DataSource
from trainer_core.data.pages import Pages
from trainer_core.data.sources import open_source

ROWS = 12_000  # about three chunks


def test_rows_from_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    lines = [json.dumps({"n": n, "text": "x" * (n % 500)}) for n in range(ROWS)]
    file.write_text("\n".join(line if n % 7 else f"\n  \n{line}" for n, line in enumerate(lines)))
    pages = Pages(open_source(DataSource(path=str(file))))
    assert [row.data["n"] for row in pages.rows(0, 5)] == [0, 1, 2, 3, 4]
    assert pages.known < ROWS  # no more was read than was asked for
    draw = random.Random(0)
    for _ in range(50):
        start = draw.randrange(ROWS)
        found = pages.rows(start, 30)
        assert [row.data["n"] for row in found] == list(range(start, min(start + 30, ROWS)))
    assert pages.rows(ROWS, 10) == []
    assert (pages.known, pages.complete) == (ROWS, True)
    assert file.read_text().splitlines()[found[0].line - 1].startswith('{"n": ')
