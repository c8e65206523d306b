"""Settings of systemd, put together from files as it does itself (man systemd.syntax, logind.conf).

One main file, the first that exists; then the drop-ins of all folders in the order of their names,
and of two of one name that of the folder named first. A link to /dev/null hides a name.
"""

from collections import defaultdict
from pathlib import Path

FOLDERS = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd", "lib/systemd")
TRUE, FALSE = {"1", "yes", "y", "true", "t", "on"}, {"0", "no", "n", "false", "f", "off"}


def assignments(root: Path, name: str, section: str) -> dict[str, list[str]]:
    """Every value that each key of `section` is given in `name` (logind.conf) and its drop-ins, in
    order: of a plain key the last counts; an empty one empties a list.
    """
    found: dict[str, list[str]] = defaultdict(list)
    main = _main_file(root, name)
    for file in [*([main] if main else []), *_drop_ins(root, name)]:
        for key, value in _lines(file, section, ""):
            found[key].append(value)
    return dict(found)


def built_in(root: Path, name: str, section: str) -> dict[str, str]:
    """The defaults that this system was built with, which the main file shows in comments
    (`#KillUserProcesses=no`)."""
    main = _main_file(root, name)
    return dict(_lines(main, section, "#")) if main else {}


def truth(value: str) -> bool | None:
    """A boolean as systemd reads it; None if it is none."""
    word = value.lower()
    return True if word in TRUE else False if word in FALSE else None


def _main_file(root: Path, name: str) -> Path | None:
    places = (root / folder / name for folder in FOLDERS)
    return next((path for path in places if path.exists()), None)


def _drop_ins(root: Path, name: str) -> list[Path]:
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in (root / folder / f"{name}.d").glob("*.conf"):
            found.setdefault(path.name, path)
    return [found[key] for key in sorted(found)]


def _lines(file: Path, section: str, mark: str) -> list[tuple[str, str]]:
    """The `key=value` lines of a section that begin with `mark`."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return []
    found, inside = [], False
    for line in map(str.strip, text.replace("\\\n", " ").splitlines()):
        if line.startswith("["):
            inside = line == f"[{section}]"
            continue
        key, sign, value = line.removeprefix(mark).partition("=")
        is_key = key.strip().isalnum() and line.startswith(mark or key)
        if inside and sign and is_key:
            found.append((key.strip(), value.strip()))
    return found
