"""How long examples are, in block characters, with the percentiles and the cut-off marked."""

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from trainer_core.data.report import Lengths, SplitReport

_BLOCKS = " ▁▂▃▄▅▆▇█"
_CUT = "┃"
# Where few examples are very long, the chart ends here and says what lies beyond.
TAIL = 1.5


class LengthHistogram(Static):
    """Usable alone: `show` takes what the report knows of one split."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._split = SplitReport(name="train")
        self._limit: int | None = None

    def show(self, split: SplitReport, limit: int | None) -> None:
        """Paint the lengths of a split; `limit` is the longest example that is not cut."""
        self._split, self._limit = split, limit
        self.refresh(layout=True)

    def render(self) -> Text:
        """For the room there is."""
        return histogram_text(self._split, self._limit, self.size.width, self.size.height)


def histogram_text(split: SplitReport, limit: int | None, width: int, height: int) -> Text:
    """The chart in at most `width` by `height` cells: a title, bars, a ruler, the numbers."""
    lengths = split.lengths
    if not lengths.max or not sum(lengths.histogram):
        return Text("No token lengths are known.", "dim", no_wrap=True, overflow="ellipsis")
    if width < 8 or height < 4:
        return Text(_numbers(lengths, limit), no_wrap=True, overflow="ellipsis")
    end = _end(lengths)
    rows, columns = max(1, min(height - 3, 12)), max(8, width)
    cut = int(limit / end * columns) if limit is not None and limit < end else None
    counts = columns_of(lengths, end, columns)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{split.name}: tokens an example, 0 to {end:,}", "bold")
    beyond = sum(lengths.histogram) - sum(counts)
    text.append(f"  ({beyond:,.0f} of them longer)\n" if beyond > 0.5 else "\n", "dim")
    for row in reversed(range(rows)):
        for column, count in enumerate(counts):
            if column == cut:
                text.append(_CUT, "bold yellow")
            else:
                text.append(_block(count, max(counts), row, rows), "cyan")
        text.append("\n")
    text.append(_ruler(lengths, limit, end, columns) + "\n")
    return text.append(_numbers(lengths, limit))


def columns_of(lengths: Lengths, end: int, columns: int) -> list[float]:
    """How many examples fall into each column of a chart from 0 to `end` tokens."""
    bins = lengths.histogram
    size = lengths.max / len(bins)
    counts = [0.0] * columns
    for number, count in enumerate(bins):
        # A bin wider than a column is shared out among the columns that it covers.
        first, last = (edge * size / end * columns for edge in (number, number + 1))
        for column in range(int(first), min(columns, int(last) + 1)):
            inside = min(last, column + 1) - max(first, column)
            counts[column] += count * max(0.0, inside) / (last - first)
    return counts


def _end(lengths: Lengths) -> int:
    tail = int(lengths.p99 * TAIL) + 1
    return lengths.max if lengths.max <= 2 * tail else tail


def _block(count: float, top: float, row: int, rows: int) -> str:
    if count <= 0:
        return " "
    eighths = max(1, round(count / top * rows * 8)) - row * 8
    return _BLOCKS[min(8, max(0, eighths))]


def _ruler(lengths: Lengths, limit: int | None, end: int, columns: int) -> str:
    line = ["─"] * columns
    marks: Sequence[tuple[str, int | None]] = (
        ("cut", limit),
        ("p99", lengths.p99),
        ("p95", lengths.p95),
        ("p50", lengths.p50),
    )
    for name, tokens in marks:
        if tokens is None or tokens >= end:
            continue
        label = f"╵{name}"
        place = min(int(tokens / end * columns), columns - len(label))
        if all(cell == "─" for cell in line[max(0, place) : place + len(label)]):
            line[place : place + len(label)] = label
    return "".join(line)


def _numbers(lengths: Lengths, limit: int | None) -> str:
    words = f"p50 {lengths.p50:,}  p95 {lengths.p95:,}  p99 {lengths.p99:,}  max {lengths.max:,}"
    return words if limit is None else f"{words}  cut at {limit:,}"
