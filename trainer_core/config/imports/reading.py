"""How a file of another tool is read: a table says, for each of its keys, what becomes of it.

A table maps keys to rules, or to the table of a section. A rule sets fields of ours, or notes why
it does not; keys without a rule are named too, so nothing is lost without a word.
"""

import difflib
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any, Union

from trainer_core.config.imports.values import blank
from trainer_core.config.schema import RunConfig
from trainer_core.config.yaml_file import Keys, YamlFile
from trainer_core.errors import UserError
from trainer_core.text import one_line

Rule = Callable[["Reading", Keys, Any], None]
Table = Mapping[str, Union[Rule, "Table"]]
Coerce = Callable[[Any], Any]

_GUESSES = 200  # a file with more to say about is not one with a slip of the pen


class Reading:
    """Another tool's file on its way to ours: the fields set so far, the lines of the keys that
    they came from, and what there is to say."""

    def __init__(self, source: YamlFile, tool: str) -> None:
        self.source = source
        self.tool = tool
        self.folder = Path(source.path).parent
        self._data: dict[str, Any] = {}
        self._lines: dict[Keys, int] = {}
        self._notes: list[tuple[int, str]] = []
        self._settled: set[tuple[int, str]] = set()

    def follow(self, table: Table, holder: Mapping[str, Any], at: Keys = ()) -> None:
        """Do with each key of `holder`, which stands at `at`, what the table says."""
        for key, value in holder.items():
            keys, rule = (*at, key), table.get(key)
            if rule is None:
                self._unknown(keys, table)
            elif not isinstance(rule, Mapping):
                rule(self, keys, value)
            elif isinstance(value, dict):
                self.follow(rule, value, keys)
            elif not blank(value):
                raise self.refusal(keys, f"should be a section with {', '.join(rule)}", value)

    def value(self, *keys: str | int) -> Any:
        """What the file has at `keys`; None where it has nothing."""
        found: Any = self.source.data
        for key in keys:
            if isinstance(found, list) and isinstance(key, int):
                found = found[key] if key < len(found) else None
            else:
                found = found.get(key) if isinstance(found, dict) else None
        return found

    def coerced(self, keys: Keys, value: Any, coerce: Coerce) -> Any:
        """The value made plain. Raises UserError where it cannot be right."""
        try:
            return coerce(value)
        except ValueError as error:
            raise self.refusal(keys, str(error), value) from None

    def put(self, ours: str, value: Any, origin: Keys) -> None:
        """Set a field of ours, as in `data.train.0.path`. Raises UserError where another key of
        the file said something else."""
        keys: Keys = tuple(int(key) if key.isdigit() else key for key in ours.split("."))
        if self.has(ours):
            if self.get(ours) != value:
                raise self.refusal(origin, f"differs from what the file says for {ours} elsewhere")
            return
        holder: Any = self._data
        for key, following in pairwise(keys):
            inner: Any = [] if isinstance(following, int) else {}
            if isinstance(holder, list):
                if key == len(holder):
                    holder.append(inner)
                holder = holder[int(key)]
            else:
                holder = holder.setdefault(key, inner)
        holder[keys[-1]] = deepcopy(value)
        if line := self.line(origin):
            for depth in range(1, len(keys)):
                self._lines.setdefault(keys[:depth], line)
            self._lines[keys] = line

    def put_with(self, other: str, ours: str, value: Any) -> None:
        """Set a field of ours that goes without saying where another one is set."""
        if self.has(other) and not self.has(ours):
            section, _, field = ours.partition(".")
            self._data.setdefault(section, {})[field] = value
            line = self._lines.get(tuple(other.split(".")), 0)
            self._lines.setdefault((section,), line)
            self._lines[section, field] = line

    def get(self, ours: str) -> Any:
        """What was set for a field of ours; None where nothing was."""
        found: Any = self._data
        for key in ours.split("."):
            if isinstance(found, list):
                found = found[int(key)] if int(key) < len(found) else None
            else:
                found = found.get(key) if isinstance(found, dict) else None
        return found

    def has(self, ours: str) -> bool:
        """Whether a field of ours was set."""
        return self.get(ours) is not None

    def note(self, keys: Keys, words: str) -> None:
        """Say something about a key; `words` follow its name."""
        self._notes.append((self.line(keys), f"{self._named(keys)} {words}"))

    def settle(self, keys: Keys) -> None:
        """A key that asks for what happens here anyway."""
        self._settled.add((self.line(keys), dotted(keys)))

    def refusal(self, keys: Keys, words: str, value: Any = None, hint: str = "") -> UserError:
        """An error about a key; `words` follow its name."""
        got = "" if value is None else f" (got {shown(value)})"
        message = one_line(f"{dotted(keys)} {words}{got}")
        return UserError(message, where=self.source.where(keys), hint=hint)

    def lies_beside(self, path: str) -> bool:
        """Whether there is such a file or folder, starting from the folder of the config."""
        return exists(self.folder / expanded(path))

    def line(self, keys: Keys) -> int:
        """The line of a key, or of what it stands in; 0 for the file as a whole."""
        while keys and keys not in self.source.lines:
            keys = keys[:-1]
        return self.source.lines.get(keys, 0)

    def result(self) -> YamlFile:
        """Our fields in the schema's order, with the lines that they came from."""
        data = {name: self._data[name] for name in RunConfig.model_fields if name in self._data}
        return YamlFile(self.source.path, data, self._lines)

    def notes(self, defaults: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
        """What there is to say, in the order of the file. `defaults` are fields of ours that are
        decided otherwise here, with the key and the value that the tool would have taken."""
        path = self.source.path
        said = [f"{path}: read as a config of {self.tool}"]
        said += [words for _, words in sorted(self._notes, key=lambda note: note[0])]
        if self._settled:
            every = ", ".join(f"{key} (line {line})" for line, key in sorted(self._settled))
            said.append(f"{path}: nothing to set here for {every}")
        left = [
            f"{key} {old}"
            for ours, (key, old) in defaults.items()
            if not self.has(ours) and blank(self.value(*key.split(".")))
        ]
        if left:
            said.append(
                f"{path}: not in the file, so decided here; {self.tool} would have taken "
                f"{', '.join(left)}"
            )
        return tuple(one_line(words) for words in said)

    def _named(self, keys: Keys) -> str:
        return f"{self.source.where(keys)}: {dotted(keys)}"

    def _unknown(self, keys: Keys, table: Table) -> None:
        few = len(self._notes) < _GUESSES
        near = difflib.get_close_matches(str(keys[-1]), table if few else (), n=1, cutoff=0.6)
        meant = f"; did you mean {dotted((*keys[:-1], near[0]))}?" if near else ""
        self.note(keys, f"is not a key of {self.tool} that is known here, and is left out{meant}")


def dotted(keys: Keys) -> str:
    """A key's name with its sections."""
    return ".".join(str(key) for key in keys)


def expanded(path: str) -> Path:
    """A path with `~` made the user's folder, where there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def exists(path: Path) -> bool:
    """Whether there is something at a path, which may be no path at all."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def shown(value: Any) -> str:
    """A value from a file, as an error quotes it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
