"""One dashboard behind one browser's page: a process that ends with the page. What it started goes
on, since workers have sessions of their own."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

from textual_serve.app_service import AppService

from trainer_core.web.guard import TOKEN_VARIABLE

# -P: a file in the folder that the server was started in must not pass for a module.
COMMAND = (sys.executable, "-P", "-m", "trainer_core.web.session")
# How long a dashboard may take to end when it is asked to, and again when it is told to.
PATIENCE_SECONDS = 3.0
LARGEST_SIDE = 1000


class Dashboard(AppService):
    """Starts a dashboard without a shell, whatever else textual-serve would do, and ends it for
    certain."""

    @property
    def exit_status(self) -> int | None:
        """How the process ended; None while it runs or where it never started."""
        return self._process.returncode if self._process else None

    async def start(self, width: int, height: int) -> None:
        """Start the process, in a terminal of `width` x `height` cells."""
        await super().start(_side(width), _side(height))

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Tell the process how many cells the page has now."""
        await super().set_terminal_size(_side(width), _side(height))

    async def run(self) -> None:
        """Pass on what the process draws, until it ends; then the page is over too."""
        await super().run()
        with suppress(ConnectionError):
            await self.remote_close()

    async def stop(self) -> None:
        """Ask the process to end; tell it; kill it. Afterwards it is gone."""
        with suppress(TimeoutError):
            await asyncio.wait_for(super().stop(), PATIENCE_SECONDS)
        if self._process is not None:
            await _end(self._process)

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width, height)
        environment.pop(TOKEN_VARIABLE, None)
        environment["TERM"] = "xterm-256color"  # the page's, not that of the server's terminal
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            # Ctrl+C in the server's terminal is for the server.
            start_new_session=os.name == "posix",
        )
        self._stdin = self._process.stdin
        return self._process


async def _end(process: Process) -> None:
    for end in (process.terminate, process.kill):
        try:
            await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                end()
    await process.wait()


def _side(cells: int) -> int:
    return max(1, min(LARGEST_SIDE, cells))
