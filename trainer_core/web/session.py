"""`python -m trainer_core.web.session`: a dashboard that draws into a pipe, for a browser's page.

What it says besides goes to a log: on the server's terminal nobody would know whose it is.
"""

import os
import select
import signal
import sys
import threading
from pathlib import Path

from trainer_core.runs.registry import state_folder


def main() -> int:
    """Show the dashboard until the page or the server is gone; returns its exit status."""
    _log_to(session_log())
    threading.Thread(target=_end_with_the_server, name="server gone", daemon=True).start()
    from tui.app import run_app

    return run_app()


def session_log() -> Path:
    """Where the dashboards in browsers leave their tracebacks."""
    return state_folder() / "ui.log"


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _end_with_the_server() -> None:
    """A server that was killed can ask nobody to end; but its end of the pipe closes with it."""
    # On Windows a pipe cannot be watched without reading it.
    if sys.platform == "win32" or sys.__stdin__ is None:
        return
    poll = select.poll()
    poll.register(sys.__stdin__.fileno(), 0)
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
