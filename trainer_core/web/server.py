"""The server: the page, what belongs to it, and a dashboard for each page that is open.

textual-serve has the pieces (its terminal for browsers, its talk with the process); who may use
them, how a process is started and how many there may be is decided here.
"""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from textual_serve.server import Server

from trainer_core.web.dashboard import Dashboard
from trainer_core.web.guard import Guard, add_headers

PAGE = Path(__file__).parent / "page"
# Each is a process of about 100 MB; a person has one or two pages open.
MAX_DASHBOARDS = 4
MAX_MESSAGE = 1 << 20
CLOSE_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0


class DashboardServer(Server):
    """Serves the dashboard to whom `guard` lets in."""

    def __init__(self, guard: Guard) -> None:
        super().__init__("backprop", title="backprop")
        self._guard = guard
        self._open: set[web.WebSocketResponse] = set()

    async def application(self) -> web.Application:
        """What aiohttp runs."""
        application = web.Application(middlewares=[self._guard.check])
        application.add_routes(
            [
                web.get("/", self.handle_index),
                web.get("/ws", self.handle_websocket),
                web.get("/download/{key}", self.handle_download),
                web.static("/static", self.statics_path),
                web.static("/page", PAGE),
            ]
        )
        application.on_response_prepare.append(add_headers)
        application.on_shutdown.append(self.on_shutdown)
        return application

    async def handle_index(self, request: web.Request) -> web.FileResponse:  # noqa: ARG002 - theirs renders a template
        """The page."""
        return web.FileResponse(PAGE / "index.html")

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A page's line to its dashboard, which lives as long as the line."""
        if len(self._open) >= MAX_DASHBOARDS:
            raise web.HTTPServiceUnavailable(
                text=f"{MAX_DASHBOARDS} dashboards are open already; close one.\n"
            )
        line = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS, timeout=CLOSE_SECONDS, max_msg_size=MAX_MESSAGE
        )
        self._open.add(line)
        try:
            await line.prepare(request)
            await self._show(line, request)
        finally:
            self._open.discard(line)
        return line

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002
        """Close every line, which ends its dashboard."""
        closing = [line.close(code=WSCloseCode.GOING_AWAY) for line in self._open]
        await asyncio.gather(*closing, return_exceptions=True)

    async def _show(self, line: web.WebSocketResponse, request: web.Request) -> None:
        dashboard = Dashboard(
            self.command,
            write_bytes=line.send_bytes,
            write_str=line.send_str,
            close=line.close,  # type: ignore[arg-type]
            download_manager=self.download_manager,
        )
        width, height = (_number(request.query.get(side), 80) for side in ("width", "height"))
        try:
            await dashboard.start(width, height)
            async for message in line:
                if message.type is WSMsgType.TEXT:
                    await _pass_on(message.data, line, dashboard)
        finally:
            await dashboard.stop()


async def _pass_on(text: str, line: web.WebSocketResponse, dashboard: Dashboard) -> None:
    """Do what a message of the page asks for; what is none is left alone."""
    with suppress(ValueError, TypeError, KeyError, IndexError, RecursionError):
        kind, *rest = json.loads(text)
        if kind == "stdin" and isinstance(rest[0], str) and rest[0]:  # an empty packet stops it
            await dashboard.send_bytes(rest[0].encode())
        elif kind == "resize":
            await dashboard.set_terminal_size(_number(rest[0]["width"]), _number(rest[0]["height"]))
        elif kind == "ping":
            await line.send_json(["pong", rest[0]])
        elif kind == "focus":
            await dashboard.focus()
        elif kind == "blur":
            await dashboard.blur()


def _number(value: Any, otherwise: int = 24) -> int:
    try:
        return int(value)
    except (ValueError, TypeError, OverflowError):
        return otherwise
