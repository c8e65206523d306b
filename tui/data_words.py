"""What the Data screen says of the data that is open: pure functions of what is known."""

from trainer_core.config.data_section import SplitName
from trainer_core.data.row_view import RowView
from trainer_core.text import one_line
from tui.data_session import LAST, DataSession


def source_words(session: DataSession) -> str:
    """The name of the data, its format and why, or what went wrong."""
    opened, overview = session.opened, session.overview
    name = opened.name if opened is not None else one_line(session.what)
    model = "  (no model: rows only)" if opened is not None and not opened.has_model else ""
    if session.problem:
        found = f"! {one_line(session.problem)}"
    elif overview is not None and overview.report.sources:
        first, *more = overview.report.sources
        others = f" (and {len(more)} more)" if more else ""
        found = f"{one_line(first.format)}{others}: {one_line(first.why)}"
    elif session.detection is not None:
        found = f"{one_line(session.detection.format)}: {one_line(session.detection.why)}"
    else:
        found = ""
    return f"{name}{model}  {found}"


def place_words(
    session: DataSession, split: SplitName | None, index: int, row: RowView | None, searching: bool
) -> str:
    """The splits, or how far the preparation is; the row, how many problems there are, the line."""
    overview = session.overview
    if overview is not None:
        parts = [
            f"[{name} {count:,}]" if name == split else f"{name} {count:,}"
            for name, count in overview.rows.items()
        ]
    else:
        known = session.pages.known if session.pages is not None else 0
        ends = session.pages is not None and session.pages.complete
        parts = [f"as read {known:,}{'' if ends else '+'}", _progress(session)]
    if row is not None:
        count = session.count(split)
        number = f"row {index + 1:,}" + (f" of {count:,}" if count else "")
        parts.append("finding the end…" if index == LAST else number)
    problems = sum(overview.report.counts.values()) if overview is not None else 0
    parts.append(f"! {problems:,} problems (p)" if problems else "")
    parts.append("searching…" if searching else "")
    if row is not None:  # last, for where there is no room for all
        parts.append(one_line(row.where.rsplit("/", 1)[-1], limit=40))
    return "  ".join(part for part in parts if part)


def _progress(session: DataSession) -> str:
    progress = session.progress
    if session.problem:
        return ""
    if progress is None:
        return "preparing…"
    rate = f" ({progress.rate:,.0f}/s)" if progress.rate else ""
    return f"prepared {progress.done:,}{rate}"


def why_no_tokens(session: DataSession | None, as_read: bool) -> str:
    """Why a row has no tokens; `as_read` if only its cells are known yet."""
    if session is not None and session.opened is not None and not session.opened.has_model:
        return "no model is known, so there are no tokens: open a run's YAML"
    if not as_read:
        return "this row has no tokens: see its problem"
    if session is None or session.problem:
        return "no tokens: the data could not be prepared"
    return "tokens come as soon as the tokenizer is loaded"
