"""What is known of a dataset, in words: its sources, its splits, and how many problems."""

from collections.abc import Callable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from trainer_core.data.report import DataReport, SplitReport
from trainer_core.text import one_line


def sources_text(report: DataReport) -> Text:
    """Each source with what it was taken for and why."""
    lines = [
        Text.assemble(
            (one_line(source.name.rsplit("/", 1)[-1], limit=40), "bold"),
            f"  {source.rows:,} rows  {one_line(source.format, limit=40)}: ",
            one_line(source.why, limit=200),
        )
        for source in report.sources
    ]
    if report.counts:
        kinds = "  ".join(f"{kind} {count:,}" for kind, count in _by_count(report))
        lines.append(Text.assemble(("! problems  ", "yellow"), kinds))
    else:
        lines.append(Text("no problems found"))
    return Text("\n").join(lines)


def splits_text(report: DataReport) -> Group:
    """A line for each split, and what the cut-off costs it."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    for _ in _NUMBERS:
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", *(Text(title, "dim") for title in _NUMBERS))
    for split in report.splits:
        table.add_row(Text(split.name, "bold"), *(number(split) for number in _NUMBERS.values()))
    return Group(table, *(_cut(split, report) for split in report.splits if split.too_long))


_NUMBERS: dict[str, Callable[[SplitReport], str]] = {
    "rows": lambda split: f"{split.rows:,}",
    "examples": lambda split: f"{split.examples:,}",
    "tokens": lambda split: f"{split.tokens:,}",
    "trained": lambda split: f"{split.trained_tokens / split.tokens:.1%}" if split.tokens else "–",
    "mean": lambda split: f"{split.lengths.mean:,.0f}",
    "p50": lambda split: f"{split.lengths.p50:,}",
    "p95": lambda split: f"{split.lengths.p95:,}",
    "p99": lambda split: f"{split.lengths.p99:,}",
    "max": lambda split: f"{split.lengths.max:,}",
}


def _cut(split: SplitReport, report: DataReport) -> Text:
    limit = f"over {report.max_length:,} tokens" if report.max_length is not None else "too long"
    return Text(
        f"{split.name}: {split.too_long:,} rows {limit} ({report.too_long}), "
        f"{split.tokens_lost:,} tokens lost, {split.trained_tokens_lost:,} of them of answers"
    )


def _by_count(report: DataReport) -> list[tuple[str, int]]:
    return sorted(report.counts.items(), key=lambda item: -item[1])
