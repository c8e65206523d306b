"""Help for the field under the cursor: what it takes, what for, what became of it and why."""

from rich.text import Text
from textual.widgets import Static

from tui.config_rows import FormRow


class FieldHelp(Static):
    """A few lines, the most important first."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._said = Text()

    def show(self, row: FormRow | None) -> None:
        """Explain a row."""
        text = help_text(row) if row is not None else Text()
        if text != self._said:
            self._said = text
            self.update(text, layout=False)


def help_text(row: FormRow) -> Text:
    """The help on a field, or what a section is for."""
    text = Text()
    if row.field is None:
        text.append(f"{row.label}  ", "bold").append(row.value)
        return text.append("\n⏎ opens and closes it")
    doc = row.field.doc
    default = "must be given" if doc.default is None else f"default: {doc.default}"
    text.append(row.key, "bold").append(f"  {doc.takes}; {default}\n")
    for wrong in row.mistakes:
        text.append(f"✖ {wrong}\n", "red")
    if not any(doc.description in wrong for wrong in row.mistakes):
        text.append(f"{doc.description}\n")
    if row.planned:
        text.append(f"planned: {row.planned}").append(f" ({row.why})" if row.why else "")
    elif row.why not in ("", "as configured", "the default"):
        text.append(row.why)
    return text
