"""The `backprop` command called in this process: what it prints and its exit status, in no time."""

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from trainer_core.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended. A status of None means that an exception escaped: a traceback."""

    status: object
    out: str
    err: str
    escaped: BaseException | None = None


def backprop(arguments: Sequence[str]) -> Ended:
    """`backprop ARGUMENTS`, with nothing to read and both of its streams caught; no terminal anywhere."""
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
