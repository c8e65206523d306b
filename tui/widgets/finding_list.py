"""The findings about a machine, worst first; what is as it should be in one line, or all of it."""

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from trainer_core.hardware.doctor.finding import MARKS, Finding, Level, worst_first

STYLES: dict[Level, str] = {
    "problem": "bold white on red",
    "warning": "yellow",
    "note": "",
    "ok": "green",
}
AREA_WIDTH = 10


class FindingList(OptionList):
    """One line a finding; `all_shown` says whether the good ones are listed too."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(Option("Looking…", disabled=True), id=id, markup=False)
        self.all_shown = False
        self._found: list[Finding] = []
        self._listed: list[Finding] = []

    @property
    def chosen(self) -> Finding | None:
        """The finding under the cursor; None on the line that stands for the good ones."""
        here = self.highlighted
        return self._listed[here] if here is not None and here < len(self._listed) else None

    def show(self, findings: list[Finding]) -> None:
        """List other findings; the cursor stays on what it stood on, if that is still there."""
        before, self._found = self.chosen, findings
        self._relist(before)

    def toggle_all(self) -> None:
        """List the good ones, the cursor on the first of them; or put them into one line again."""
        self.all_shown = not self.all_shown
        self._relist(next((one for one in self._found if one.level == "ok"), None))

    def _relist(self, before: Finding | None) -> None:
        ordered, here = worst_first(self._found), self.highlighted or 0
        self._listed = [one for one in ordered if self.all_shown or one.level != "ok"]
        good = len(ordered) - len(self._listed)
        self.clear_options()
        self.add_options([Option(_line(one)) for one in self._listed])
        if good:
            self.add_option(Option(_good_line(good)))
        if before in self._listed:
            here = self._listed.index(before)
        self.highlighted = min(here, self.option_count - 1) if self.option_count else None


def _line(finding: Finding) -> Text:
    return _row(finding.level).append(f"{finding.area:<{AREA_WIDTH}} ", "bold").append(finding.text)


def _good_line(count: int) -> Text:
    words = "thing is as it should be" if count == 1 else "things are as they should be"
    return _row("ok").append(f"{count} {words}; a shows them")


def _row(level: Level) -> Text:
    return Text(no_wrap=True, overflow="ellipsis").append(f"{MARKS[level]:<5}", STYLES[level])
