"""Serving until Ctrl+C: the address, the sentences, and the way out."""

import asyncio
import errno
import signal
import socket
from contextlib import suppress
from ipaddress import ip_address

from aiohttp import web

from trainer_core.errors import UserError
from trainer_core.web.guard import TOKEN_VARIABLE, Guard, new_token
from trainer_core.web.server import DashboardServer

# How long open pages may keep the server from ending.
SHUTDOWN_SECONDS = 8.0


def serve(host: str, port: int, token: str = "") -> None:
    """Serve the dashboard on `host`:`port` (0: any that is free) until SIGINT or SIGTERM.

    Without a `token` there is a new one each time, printed with the address. Raises UserError
    where it cannot listen there.
    """
    with suppress(KeyboardInterrupt):  # where the loop takes no signals
        asyncio.run(_serve(host, port, token))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`. Raises UserError."""
    if not host:  # every address that there is
        return False
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        raise UserError(
            f"--host {host} is no address and no name of this machine",
            hint="127.0.0.1 is this machine alone.",
        ) from None
    return all(ip_address(entry[4][0]).is_loopback for entry in found)


async def _serve(host: str, port: int, token: str) -> None:
    only_here = is_loopback(host)
    guard = Guard(token or new_token(), _names(host, only_here=only_here), only_here=only_here)
    application = await DashboardServer(guard).application()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        ended = _asked_to_end()
        shown = f"${TOKEN_VARIABLE}" if token else guard.token
        _say(host, runner.addresses[0][1], shown, only_here=only_here)
        await ended.wait()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is in use",
            errno.EACCES: f"this user may not listen on port {port}",
            errno.EADDRNOTAVAIL: f"{host} is no address of this machine",
        }
        reason = reasons.get(error.errno or 0, f"cannot listen on {host}:{port}: {error.strerror}")
        raise UserError(reason, hint="Name another with --port or --host.") from None


def _asked_to_end() -> asyncio.Event:
    """What is set when somebody asks the server to end."""
    ended = asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            with suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(getattr(signal, name), ended.set)
    return ended


def _names(host: str, *, only_here: bool) -> frozenset[str]:
    """What this machine is called in the address line of a browser, besides by its addresses."""
    ours = {"localhost"} if only_here else {"localhost", host, socket.gethostname()}
    return frozenset(name.lower() for name in ours if name)


def _say(host: str, port: int, token: str, *, only_here: bool) -> None:
    if not only_here:
        name = socket.gethostname() if ip_address(_first(host)).is_unspecified else host
        print("The line is not encrypted: whoever can listen on the network can read the token.")
    else:
        name = host
    shown = f"[{name}]" if ":" in name else name
    print(f"The dashboard: http://{shown}:{port}/?token={token}")
    if only_here:
        there = socket.gethostname()
        print(f"From another machine: ssh -L {port}:{shown}:{port} {there}, then open it there.")
    print("Ctrl+C ends the server; runs go on.", flush=True)


def _first(host: str) -> str:
    return str(socket.getaddrinfo(host, None)[0][4][0])
