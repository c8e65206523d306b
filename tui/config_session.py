"""The config that is open on the Config screen: its text, what it says, and what came before."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer_core.config.check import CheckedText, check_text
from trainer_core.config.edit import set_value, unset
from trainer_core.config.form import FormField, value_of
from trainer_core.config.imports import convert, tool_of
from trainer_core.config.load import LoadedConfig, leaves
from trainer_core.config.plain_data import at, has, same
from trainer_core.config.presets import Preset, load_preset
from trainer_core.config.yaml_file import YamlFile, dump_yaml, parse_yaml, read_text
from trainer_core.errors import UserError
from trainer_core.files import write_atomically
from trainer_core.planning.draft import Draft
from trainer_core.runs.folder import RunFolder
from tui.config_planner import Planner
from tui.text_history import TextHistory

_BOM = b"\xef\xbb\xbf"
NEW = """\
# A new run. Two fields must be given; every other has a default, or is planned.
model:
  base: # a folder with a model, or its name on the hub such as owner/name
data:
  train: # rows: a file, a folder, or a dataset on the hub
"""


@dataclass(frozen=True)
class OpenFile:
    """Where a text was read from, with what the file held. A run's record and another tool's file
    are only copied from."""

    path: Path
    is_copy: bool
    content: bytes


class ConfigSession:
    """The text changes at once; what it says and the plan are made when they are asked for."""

    def __init__(self) -> None:
        self.planner = Planner()
        self.file: OpenFile | None = None
        self.folder = Path()
        self.notes: tuple[str, ...] = ()
        self._kept = NEW
        self._history = TextHistory(NEW)
        self._checked = check_text("", self.name, self.folder)
        self._broken: UserError | None = None
        self._draft: Draft | None = None
        self._is_read = self._is_planned = False

    # --- what is open ----------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The YAML."""
        return self._history.text

    @property
    def name(self) -> str:
        """What the config is called, in messages too."""
        return str(self.file.path) if self.file is not None else "new config"

    @property
    def path(self) -> Path | None:
        """Where it is saved without asking."""
        return self.file.path if self.file is not None and not self.file.is_copy else None

    @property
    def is_changed(self) -> bool:
        """Whether there is something to save."""
        return self.text != self._kept

    @property
    def checked(self) -> CheckedText:
        """What the text says, or said when it last was YAML."""
        self._read()
        return self._checked

    @property
    def broken(self) -> UserError | None:
        """Why the text is no YAML now."""
        self._read()
        return self._broken

    @property
    def loaded(self) -> LoadedConfig | None:
        """The config, if the text is a valid one now."""
        return self.checked.loaded if self.broken is None else None

    @property
    def draft(self) -> Draft | None:
        """The plan; None where there can be none, or not yet."""
        if not self._is_planned:
            self._is_planned = True
            self._draft = self.planner.draft(self.loaded) if self.loaded is not None else None
        return self._draft

    def open_new(self) -> None:
        """Begin anew."""
        self._begin(None, NEW, Path())

    def open(self, path: Path) -> None:
        """Open a file: a config, be it broken, or one of another tool, of which ours is made.

        Raises UserError if it cannot be read, or holds more than text.
        """
        path = path.expanduser()
        text = read_text(path)
        is_copy, notes = _is_record(path), self.notes[:0]
        try:
            source = parse_yaml(text, str(path))
        except UserError:
            source = YamlFile(str(path), {})
        if tool_of(source.data) is not None:
            made = convert(source)
            head = f"# Made from {path.name}, a config of {made.tool}.\n"
            text, is_copy, notes = head + dump_yaml(made.file.data), True, made.notes
        self._begin(OpenFile(path, is_copy, _bytes(path)), text, path.parent)
        self.notes = notes

    def _begin(self, file: OpenFile | None, text: str, folder: Path) -> None:
        self.file, self.folder, self.notes = file, folder, ()
        self._kept, self._history = text, TextHistory(text)
        self.planner.forget()
        self._checked = check_text("", self.name, folder)
        self._is_read = self._is_planned = False

    # --- changes ---------------------------------------------------------------------------------

    def enter(self, field: FormField, entry: str) -> None:
        """Set a field to what a person entered; an empty entry unsets it. Raises UserError."""
        if entry.strip():
            self.set(field, value_of(field, entry))
        else:
            self.unset(field)

    def set(self, field: FormField, value: Any) -> None:
        """Set a field. Raises UserError if it cannot be changed alone."""
        self._must_be_yaml()
        if not has(self.checked.file.data, field.keys) or not same(self.value(field), value):
            self._change(set_value(self.text, field.keys, value))

    def unset(self, field: FormField) -> None:
        """Reset a field to its default. Raises UserError."""
        self._must_be_yaml()
        self._change(unset(self.text, field.keys))

    def type(self, text: str) -> None:
        """Take the text as it is after a key press in it."""
        self._read()  # what it said before is shown if it says nothing now
        self._history.change(text, typed=True)
        self._is_read = self._is_planned = False

    def undo(self) -> bool:
        """Undo the last change; False if there is none."""
        self._is_read = self._is_planned = False
        return self._history.undo()

    def redo(self) -> bool:
        """Do again what was undone; False if there is nothing."""
        self._is_read = self._is_planned = False
        return self._history.redo()

    def value(self, field: FormField) -> Any:
        """What the text says of a field; None where it says nothing."""
        return at(self.checked.file.data, field.keys)

    @property
    def presets(self) -> list[str]:
        """The presets that the text starts from."""
        named = self.checked.file.data.get("preset")
        found = named if isinstance(named, list) else [named]
        return [name for name in found if isinstance(name, str)]

    def toggle_preset(self, name: str) -> None:
        """Start from a preset too, or do without it. A model's takes the place of another model's;
        fields that are empty and that it sets give way. Raises UserError."""
        self._must_be_yaml()
        names, text = self.presets, self.text
        if name in names:
            names.remove(name)
        else:
            preset = load_preset(name)
            names = [other for other in names if preset.base is None or not _names_base(other)]
            # Recipes win over models, so that a card or a task can say what a model leaves open.
            names = [name, *names] if preset.base is not None else [*names, name]
            text = _without_empty(text, preset)
        if names:
            text = set_value(text, ("preset",), names[0] if len(names) == 1 else names)
        else:
            text = unset(text, ("preset",))
        self._change(text)

    def learned(self) -> None:
        """The planner knows more: the plan is to be made anew."""
        self._is_planned = False

    def _change(self, text: str) -> None:
        self._history.change(text)
        self._is_read = self._is_planned = False

    def _read(self) -> None:
        if self._is_read:
            return
        self._is_read = True
        try:
            self._checked = check_text(self.text, self.name, self.folder)
            self._broken = None
        except UserError as error:
            self._broken = error

    def _must_be_yaml(self) -> None:
        if self.broken is not None:
            raise UserError("the YAML is broken", hint=f"Mend it first: {self.broken}")

    # --- saving ----------------------------------------------------------------------------------

    def changed_on_disk(self) -> bool:
        """Whether the file has been changed by somebody else since it was read."""
        return self.path is not None and _bytes(self.path) not in (self._content, b"")

    @property
    def _content(self) -> bytes:
        """The file as it was read or written last."""
        return self.file.content if self.file is not None else b""

    def save(self, path: Path) -> None:
        """Write the text. In another folder relative paths would mean other files: they are made
        absolute then. Raises UserError if it cannot be written."""
        path = path.expanduser()
        if path.is_dir():
            raise UserError(f"{path} is a folder", hint="Name a file.")
        if _is_record(path):
            raise UserError(f"{path} is a run's record of what ran", hint="Name another file.")
        text = self.text
        if path.parent.absolute() != self.folder.absolute() and self.loaded is not None:
            text = with_absolute_paths(text, self.loaded)
        mark = _BOM if self.path == path and self._content.startswith(_BOM) else b""
        try:
            content = mark + text.encode()
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            write_atomically(path, content, mode=mode)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UserError(f"{path} cannot be written: {reason}") from None
        self.file, self.folder = OpenFile(path, False, content), path.parent
        self._change(text)
        self._kept = text


def with_absolute_paths(text: str, loaded: LoadedConfig) -> str:
    """The text with every path as the loaded config has it, wherever the text is read then."""
    before = parse_yaml(text, "the config").data
    for name in leaves(loaded.data):
        keys = tuple(name.split("."))
        if has(before, keys) and not same(at(before, keys), at(loaded.data, keys)):
            text = set_value(text, keys, at(loaded.data, keys))
    return text


def _names_base(preset: str) -> bool:
    try:
        return load_preset(preset).base is not None
    except UserError:
        return False


def _without_empty(text: str, preset: Preset) -> str:
    data = parse_yaml(text, "the config").data
    for name in leaves(preset.data):
        keys = tuple(name.split("."))
        if has(data, keys) and at(data, keys) is None:
            text = unset(text, keys)
    return text


def _is_record(path: Path) -> bool:
    """Whether a file is what a run was started with."""
    run = RunFolder(path.parent)
    return path.name == run.config.name and run.exists()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
