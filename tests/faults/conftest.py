"""The `cli` fixture: see tests/end_to_end/real_runs.py."""

from tests.end_to_end.conftest import cli

__all__ = ["cli"]
