"""What an export wrote: a list, and of the one under the cursor the check and what both said."""

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from trainer_core.runs.events import Check, Exported, Measure, Spoken
from trainer_core.text import clean, duration, one_line, size
from tui.widgets.lines import Lines
from tui.widgets.wrapped import wrapped

FORMAT = 13
NUMBER = 10
LIMIT = 9
# The columns of the check's table, but for the name of what was measured.
NAME = 60
INDENT = "  "


class WrittenList(OptionList):
    """One line an artefact, the newest last."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._written: list[Exported] = []

    @property
    def chosen(self) -> Exported | None:
        """The artefact under the cursor."""
        here = self.highlighted
        return self._written[here] if here is not None and here < len(self._written) else None

    def show(self, written: list[Exported]) -> bool:
        """List what was written; whether that is anything else than before. The cursor is on the
        first whose check failed, else it stays."""
        if [one.n for one in written] == [one.n for one in self._written]:
            return False
        here = self.highlighted or 0
        self._written = list(written)
        self.clear_options()
        self.add_options(Option(_written_line(one)) for one in written)
        failed = [n for n, one in enumerate(written) if one.check and not one.check.passed]
        if written:
            self.highlighted = failed[0] if failed else min(here, len(written) - 1)
        return True


class WrittenPane(Lines, can_focus=True):
    """Scrolls where the text is longer than the pane."""

    def show_written(self, one: Exported | None) -> None:
        """Show an artefact's check; nothing for None."""
        self.show(lambda width: written_lines(one, width) if one is not None else [])


def written_lines(one: Exported, width: int) -> list[Text]:
    """The verdict, the table, and what both models said, in lines of `width` cells."""
    if one.check is None:
        return wrapped(Text("– Not checked: the check was left out.", "yellow"), width)
    lines = wrapped(check_words(one.check), width)
    if one.check.measures:
        lines.append(_table_line("", "measured", "value", "limit", width, "dim"))
        lines += [_measure_line(measure, width) for measure in one.check.measures]
    for spoken in one.check.spoken:
        lines += [Text(end=""), *_spoken_lines(spoken, width)]
    return lines


def check_words(check: Check) -> Text:
    """The verdict in a sentence, with what differs."""
    runtime = one_line(check.runtime, limit=40)
    if check.passed:
        return Text(f"✔ Run in {runtime}, it speaks like the trained model.", "green")
    wrong = [one_line(one.name, limit=60) for one in check.measures if not one.passed]
    why = one_line(check.differs).rstrip(".") or f"beyond its limit: {', '.join(wrong)}"
    return Text(f"✖ Run in {runtime}, it differs: {why}.", "red")


def command_text(commands: list[str]) -> Text:
    """What to do next, a command a line."""
    lines = (Text.assemble(("$ ", "dim"), (one_line(command), "bold")) for command in commands)
    return Text("\n").join(lines)


def _written_line(one: Exported) -> Text:
    check = one.check
    sign, style = ("–", "yellow") if check is None else ("✔", "green")
    words = "not checked"
    if check is not None:
        passed = sum(measure.passed for measure in check.measures)
        words = f"check passed, {passed} of {len(check.measures)}"
    if check is not None and not check.passed:
        sign, style, words = "✖", "red", "check FAILED"
    line = Text(no_wrap=True, overflow="ellipsis").append(f"{sign} ", style)
    line.append(f"{one_line(one.format, limit=FORMAT):<{FORMAT}} ", "bold")
    line.append(f"{words:<20} ", style)
    line.append(f"{size(one.size):>10} {duration(one.seconds):>9}  ")
    return line.append(one_line(one.path), "dim")


def _measure_line(measure: Measure, width: int) -> Text:
    sign, style = ("✔", "green") if measure.passed else ("✖", "red")
    way = "≥" if measure.at_least else "≤"
    return _table_line(
        sign,
        one_line(measure.name),
        _number(measure.value),
        f"{way} {_number(measure.limit)}",
        width,
        style,
    )


def _table_line(sign: str, name: str, value: str, limit: str, width: int, style: str) -> Text:
    line = Text(end="", no_wrap=True).append(f"{sign:<2}", style)
    room = max(1, min(NAME, width - 2 - NUMBER - LIMIT))
    label = Text(f"{name:<{room}}")
    label.truncate(room, overflow="ellipsis")
    line.append(label.plain, "" if sign else style)
    line.append(f"{value:>{NUMBER}}", style).append(f"{limit:>{LIMIT}}", "" if sign else style)
    line.truncate(max(0, width), overflow="ellipsis")
    return line


def _spoken_lines(spoken: Spoken, width: int) -> list[Text]:
    lines = wrapped(Text(clean(spoken.prompt.strip()), "bold"), width)
    same = spoken.trained == spoken.exported
    parts = (
        [("both say", spoken.trained)]
        if same
        else [
            ("trained", spoken.trained),
            ("exported", spoken.exported),
        ]
    )
    for who, words in parts:
        said = Text.assemble((f"{who:<9}", "dim"), clean(words.strip()) or "(nothing)")
        for line in wrapped(said, width - len(INDENT)):
            lines.append(Text.assemble(INDENT, line, end=""))
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.3g}"
