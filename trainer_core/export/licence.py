"""The licence of a base model, as its own folder states it."""

import re
from pathlib import Path

import yaml

_MOST = 64 << 10
# A name that the hub knows, such as apache-2.0 or llama3.2.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,59}")
# Words that only one licence has; those that quote another one come first.
_WORDS = (
    (r"LLAMA 3\.3 COMMUNITY LICENSE", "llama3.3"),
    (r"LLAMA 3\.2 COMMUNITY LICENSE", "llama3.2"),
    (r"LLAMA 3\.1 COMMUNITY LICENSE", "llama3.1"),
    (r"META LLAMA 3 COMMUNITY LICENSE", "llama3"),
    (r"LLAMA 2 COMMUNITY LICENSE", "llama2"),
    (r"Gemma Terms of Use", "gemma"),
    (r"Apache License\s+Version 2\.0", "apache-2.0"),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3", "agpl-3.0"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", "lgpl-3.0"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "gpl-3.0"),
    (r"MIT License|Permission is hereby granted, free of charge", "mit"),
    (r"Redistributions of source code.*Neither the name", "bsd-3-clause"),
    (r"Redistributions of source code", "bsd-2-clause"),
)


def licence_of(folder: Path) -> str:
    """The hub's name of the licence of the model in `folder`: what its README.md says, else the one
    that its licence files are. Empty where it cannot be told, or where they are several."""
    stated = _front_matter(folder / "README.md").get("license")
    if isinstance(stated, str) and _NAME.fullmatch(stated):
        return stated
    texts = [_read(path) for path in sorted(folder.glob("*")) if _is_licence(path)]
    found = {_recognised(text) for text in texts}
    return found.pop() if len(found) == 1 else ""


def _front_matter(path: Path) -> dict[str, object]:
    """What stands between the two lines of dashes at the top of a model card."""
    found = re.match(r"---\r?\n(.*?)\r?\n---\s", _read(path), re.DOTALL)
    try:
        data = yaml.safe_load(found[1]) if found else {}
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _is_licence(path: Path) -> bool:
    return path.is_file() and bool(re.match(r"(LICEN[CS]E|COPYING)\b", path.name, re.IGNORECASE))


def _recognised(text: str) -> str:
    for words, name in _WORDS:
        if re.search(words, text, re.DOTALL):
            return name
    return ""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8", errors="replace")
    except OSError:
        return ""
