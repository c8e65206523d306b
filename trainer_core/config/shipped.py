"""Finds what ships with the project, configs/ and themes/, in a checkout or an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """The folder `name` ("configs" or "themes"): beside the package in a checkout, inside it in a
    wheel (pyproject.toml maps it there)."""
    inside = _PACKAGE / "shipped" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
