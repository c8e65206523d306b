"""One finding in full: what was seen, and what to do about it."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from trainer_core.hardware.doctor.finding import Finding


class FindingPane(VerticalScroll):
    """Scrolls where the text is longer than the pane."""

    def compose(self) -> ComposeResult:
        yield Static(id="finding-text", markup=False)

    def show(self, finding: Finding | None) -> None:
        """Paint a finding; None leaves the pane empty."""
        self.query_one("#finding-text", Static).update(_words(finding) if finding else Text())
        self.scroll_home(animate=False)


def _words(finding: Finding) -> Text:
    text = Text(finding.text)
    if finding.hint:
        text.append(f"\n{finding.hint}")
    if finding.command:
        text.append("\n$ ", "dim").append(finding.command, "bold")
    return text
