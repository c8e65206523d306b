"""The report of `backprop data` as lines of text."""

from collections.abc import Iterator

from trainer_core.data.report import DataReport, SplitReport
from trainer_core.data.row_view import RowView, ShownToken
from trainer_core.text import clean, one_line
from trainer_core.tokens.prepare import Prepared

SHOWN_PROBLEMS = 5
SHOWN_TOKENS = 400
BARS = " ▁▂▃▄▅▆▇█"


def report_lines(report: DataReport) -> Iterator[str]:
    """Sources, splits, lengths, problems."""
    for source in report.sources:
        yield f"{one_line(source.name)}: {source.rows:,} rows, {source.format}"
        yield f"  {one_line(source.why)}"
    yield ""
    head = ("split", "rows", "examples", "tokens", "trained", "p50", "p95", "p99", "longest")
    table = [head, *(_cells(split) for split in report.splits)]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for row in table:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([first.strip().ljust(widths[0]), *rest]).rstrip()
    yield from _length_lines(report)
    yield from _problem_lines(report)
    cached = ", from the cache" if report.cached else ""
    yield f"\nread in {report.seconds:.1f} s{cached}"


def _cells(split: SplitReport) -> tuple[str, ...]:
    share = f" ({split.trained_tokens / split.tokens:.0%})" if split.tokens else ""
    lengths = split.lengths
    return (
        split.name,
        f"{split.rows:,}",
        f"{split.examples:,}",
        f"{split.tokens:,}",
        f"{split.trained_tokens:,}{share}",
        *(f"{value:,}" for value in (lengths.p50, lengths.p95, lengths.p99, lengths.max)),
    )


def _length_lines(report: DataReport) -> Iterator[str]:
    if report.model is None:
        yield "\nno model is named, so nothing is counted in tokens (--model)"
        return
    train = report.split("train")
    if train.lengths.max:
        top = max(train.lengths.histogram)
        bars = "".join(BARS[-(-count * 8 // top)] for count in train.lengths.histogram)
        yield f"\nlengths 0 {bars} {train.lengths.max:,} tokens"
    for split in report.splits:
        if split.too_long:
            yield (
                f"{split.name}: {split.too_long:,} rows over {report.max_length:,} tokens: "
                f"{split.tokens_lost:,} tokens beyond, {split.trained_tokens_lost:,} of them of "
                "answers"
            )


def _problem_lines(report: DataReport) -> Iterator[str]:
    yield "\nproblems: none" if not report.counts else "\nproblems:"
    for kind, count in sorted(report.counts.items(), key=lambda item: -item[1]):
        yield f"  {count:,} {kind}: {report.fates[kind]}"
        found = [problem for problem in report.problems if problem.kind == kind]
        for problem in found[:SHOWN_PROBLEMS]:
            yield f"    {one_line(problem.where)}: {one_line(problem.message)}"
        if count > SHOWN_PROBLEMS:
            yield f"    … and {count - SHOWN_PROBLEMS:,} more (--json lists the first thousand)"


def first_and_last(prepared: Prepared, count: int) -> Iterator[RowView]:
    """The first and last `count` rows of each split."""
    for split in prepared.report.splits:
        rows = prepared.rows_in(split.name)
        for index in sorted({*range(min(count, rows)), *range(max(0, rows - count), rows)}):
            yield prepared.view(split.name, index)


def row_lines(view: RowView) -> Iterator[str]:
    """A row, with its trained text in ⟦brackets⟧."""
    yield f"\n{view.split} row {view.index + 1:,} ({one_line(view.where)})"
    if view.tokens:
        trained = sum(token.trained for token in view.tokens)
        yield f"  {len(view.tokens):,} tokens, {trained:,} trained: those in ⟦brackets⟧"
        text = _bracketed(view.tokens[:SHOWN_TOKENS])
        cut = "…" if len(view.tokens) > SHOWN_TOKENS else ""
        yield from (f"  {line}" for line in (clean(text) + cut).splitlines())
        return
    for turn in view.turns:
        lines = clean(turn.content, limit=2000).splitlines() or [""]
        yield f"  {turn.role}: {lines[0]}"
        yield from (f"    {line}" for line in lines[1:])
    if view.text:
        yield from (f"  {line}" for line in clean(view.text, limit=2000).splitlines())


def _bracketed(tokens: list[ShownToken]) -> str:
    pieces, inside = [], False
    for token in tokens:
        if token.trained != inside:
            pieces.append("⟦" if token.trained else "⟧")
            inside = token.trained
        pieces.append(token.text)
    return "".join(pieces) + ("⟧" if inside else "")
