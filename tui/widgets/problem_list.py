"""The rows with problems: how many of each kind first, then the rows, each a way to the row."""

from collections import defaultdict

from rich.text import Text
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from trainer_core.data.report import DataReport, FoundProblem
from trainer_core.text import one_line

# With more rows than this, a kind shows its rows only when it is chosen.
OPEN_AT_ONCE = 200


class ProblemList(OptionList):
    """Kinds, and under each that is open its rows."""

    class Chosen(Message):
        """A row was chosen: its number over the rows as read."""

        def __init__(self, row: int) -> None:
            super().__init__()
            self.row = row

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._kinds: dict[str, list[FoundProblem]] = {}
        self._report = DataReport()
        self._open: set[str] = set()

    def show(self, report: DataReport) -> None:
        """List the problems of a report."""
        self._report = report
        kinds: dict[str, list[FoundProblem]] = defaultdict(list)
        for problem in report.problems:
            kinds[problem.kind].append(problem)
        counts = sorted(report.counts, key=lambda kind: -report.counts[kind])
        self._kinds = {kind: kinds[kind] for kind in counts}
        self._open = set(kinds) if len(report.problems) <= OPEN_AT_ONCE else set()
        self._rebuild()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open or close a kind; go to a row."""
        event.stop()
        what, _, value = (event.option.id or "").partition(":")
        if what == "row":
            self.post_message(self.Chosen(int(value.partition(":")[0])))
        elif what == "kind":
            self._open ^= {value}
            self._rebuild(f"kind:{value}")

    def _rebuild(self, chosen: str = "") -> None:
        self.clear_options()
        self.add_options(self._items())
        if not self._kinds:
            return
        self.highlighted = self.get_option_index(chosen) if chosen else 0

    def _items(self) -> list[Option]:
        if not self._kinds:
            return [Option("No problems were found.", id="none", disabled=True)]
        options: list[Option] = []
        for kind, problems in self._kinds.items():
            options.append(Option(self._kind_line(kind, len(problems)), id=f"kind:{kind}"))
            if kind in self._open:
                options += (
                    Option(_row_line(problem), id=f"row:{problem.row}:{kind}:{number}")
                    for number, problem in enumerate(problems)
                )
        return options

    def _kind_line(self, kind: str, listed: int) -> Text:
        count, fate = self._report.counts[kind], self._report.fates.get(kind, "")
        line = Text("▾ " if kind in self._open else "▸ ", no_wrap=True, overflow="ellipsis")
        rows = "row" if count == 1 else "rows"
        line.append(one_line(kind, limit=40), "bold").append(f"  {count:,} {rows}")
        line.append(f", {one_line(fate)}" if fate else "")
        return line.append(f"  (the first {listed:,} are listed)" if listed < count else "")


def _row_line(problem: FoundProblem) -> Text:
    place = one_line(problem.where.rsplit("/", 1)[-1], limit=50)
    line = Text(f"    {place}  ", no_wrap=True, overflow="ellipsis")
    return line.append(one_line(problem.message, limit=300))
