"""The `backprop` command called in this process: what it prints and its exit status, in no time."""

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.bad_inputs import BadInput
from tests.faults.payloads import commands
from trainer_core.cli import launch, main


@dataclass(frozen=True)
class Ended:
    """How a command ended. A status of None means that an exception escaped: a traceback."""

    status: object
    out: str
    err: str
    escaped: BaseException | None = None


def backprop(arguments: Sequence[str]) -> Ended:
    """`backprop ARGUMENTS`, with nothing to read and both of its streams caught."""
    out, err = io.StringIO(), io.StringIO()
    given, sys.argv = sys.argv, ["backprop", *arguments]
    stdin, sys.stdin = sys.stdin, io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        return Ended(end.code or 0, out.getvalue(), err.getvalue())
    except Exception as escaped:
        return Ended(None, out.getvalue(), err.getvalue(), escaped)
    finally:
        sys.argv, sys.stdin = given, stdin
    return Ended(0, out.getvalue(), err.getvalue())


def refused(bad: BadInput, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meet a bad input in `folder`: exit status 2, one sentence that names the place, no traceback,
    and nothing written."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a run would have started")

    monkeypatch.chdir(folder)
    monkeypatch.setenv("BAD_INPUTS_KEY", "")
    monkeypatch.setattr(launch, "launch_run", start)
    arguments = bad.lay(folder)
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    ended = backprop(arguments)
    assert ended.escaped is None, repr(ended.escaped)
    assert ended.status == 2, ended
    assert ended.err.startswith(("backprop: ", "Usage: ")), ended.err
    assert bad.words in ended.err
    assert bad.place in ended.err
    assert commands(ended.out + ended.err) == []
    assert len(ended.err) < 1500
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before
