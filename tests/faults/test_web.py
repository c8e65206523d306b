"""The dashboard in a browser: who gets in, what comes, and what is left when anybody goes."""

import asyncio
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pyte
import pytest
from aiohttp import web

from tests.end_to_end.real_runs import DEMO, Cli, wait_for
from trainer_core.cli import ui as command
from trainer_core.cli.ui import ui
from trainer_core.errors import UserError
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import is_alive
from trainer_core.web import server
from trainer_core.web.guard import TOKEN_VARIABLE, Guard
from trainer_core.web.serve import is_loopback

TOKEN = "a-token-that-nobody-guesses"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only ever refused, or handed to a stand-in


@asynccontextmanager
async def serving(
    names: frozenset[str] = frozenset({"localhost"}), *, only_here: bool = True
) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """Our server on a port of its own, and a browser's client that keeps cookies."""
    application = await server.DashboardServer(
        Guard(TOKEN, names, only_here=only_here)
    ).application()
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        yield address, browser
    await runner.cleanup()


async def status(browser: aiohttp.ClientSession, url: str, **headers: str) -> int:
    async with browser.get(url, headers=headers, allow_redirects=False) as answer:
        await answer.read()
        return answer.status


async def test_the_token_moves_from_the_address_into_a_cookie_that_scripts_cannot_read() -> None:
    async with serving() as (address, browser):
        async with browser.get(f"{address}/?token={TOKEN}", allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == "/"
            (cookie,) = answer.headers.getall("Set-Cookie")
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        async with browser.get(address) as page:
            assert page.status == 200
            policy = page.headers["Content-Security-Policy"]
            text = await page.text()
        assert "default-src 'none'" in policy
        assert TOKEN not in text
        assert "//" not in text, "the page asks another server for something"
        for part in re.findall(r'(?:href|src)="([^"]+\.(?:js|css))"', text):
            assert await status(browser, f"{address}/{part}") == 200


async def test_nothing_is_served_without_the_token() -> None:
    async with serving() as (address, browser):
        places = ["/", "/ws", "/static/js/textual.js", "/page/page.js", "/download/x", "/nothing"]
        for place in places:
            assert await status(browser, address + place) == 403
        # A token in the address counts for the page only, and only if it is the right one.
        wrong = [
            f"/?token={TOKEN[:-1]}",
            "/?token=",
            "/?token=%ff%00é",
            f"/page/page.js?token={TOKEN}",
        ]
        for place in wrong:
            assert await status(browser, address + place) == 403
        port = address.rpartition(":")[2]
        for cookie in (f"backprop-{port}=wrong", f"backprop-1={TOKEN}", f"token={TOKEN}"):
            assert await status(browser, address, Cookie=cookie) == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"Origin": "{us}"}, 200),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 200),
        ({"Host": "localhost:{port}", "Origin": "{us}"}, 403),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "10.0.0.1:{port}"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://evil"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),  # another program of the same machine
        ({"Origin": "{us}.evil.example"}, 403),
    ],
)
async def test_who_asks_under_a_wrong_name_or_from_another_page(
    headers: dict[str, str], expected: int
) -> None:
    async with serving() as (address, browser):
        await status(browser, f"{address}/?token={TOKEN}")
        port = address.rpartition(":")[2]
        sent = {name: value.format(us=address, port=port) for name, value in headers.items()}
        assert await status(browser, address, **sent) == expected


def dashboards() -> list[psutil.Process]:
    """The processes that show a page each; other tests may have left children of other kinds."""
    below = psutil.Process().children()
    return [process for process in below if "trainer_core.web.session" in process.cmdline()]


@pytest.mark.parametrize("origin", ["http://evil", "null", None])
async def test_another_pages_websocket_is_refused(origin: str | None) -> None:
    async with serving() as (address, browser):
        await status(browser, f"{address}/?token={TOKEN}")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(f"{address}/ws", origin=origin)
        assert refused.value.status == 403
        assert not dashboards()


async def test_the_dashboard_comes_and_hostile_messages_do_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "ran"
    for name in ("textual.py", "tui.py", "json.py"):  # the folder of somebody else's data
        (tmp_path / name).write_text(f"open({str(marker)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "MAX_DASHBOARDS", 1)
    async with serving() as (address, browser):
        await status(browser, f"{address}/?token={TOKEN}")
        page = await open_page(browser, address)
        await page.shows("No runs yet")
        for message in (
            "nonsense",
            "[" * 10_000,
            "{}",
            "[]",
            '["stdin", 5]',
            '["stdin", ""]',
            '["stdin", "\\ud800"]',
            '["resize"]',
            '["resize", {"width": 1e400, "height": null}]',
            '["resize", {"width": -5, "height": 1e9}]',
            '["resize", {"width": 100, "height": 30}]',
        ):
            await page.line.send_str(message)
        await page.press("?")
        await page.shows("All keys")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(f"{address}/ws", origin=address)
        assert refused.value.status == 503
        (process,) = dashboards()
        await page.line.close()
        # The page is gone, so its dashboard is; and there is room for another.
        await until(lambda: not process.is_running(), "the end of the dashboard")
        page = await open_page(browser, address)
        await page.shows("No runs yet")
        await page.press("q")
        await over(page)
    assert not dashboards()
    assert not marker.exists()


async def test_a_run_goes_on_when_the_server_is_killed_and_ctrl_c_ends_it_cleanly(cli: Cli) -> None:
    process, address, token = start_server(cli)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        await status(browser, address + token)
        page = await open_page(browser, address)
        await page.shows("No runs yet")
        await page.press("2")
        await page.shows("new config")
        await page.press("o")
        await page.shows("a config to open")
        await page.press(f"{DEMO / 'demo.yaml'}\r")
        await page.shows("auto → ")  # the config's values; its name stands there while it is typed
        await page.press("r")
        await until(lambda: list(cli.folder.rglob("status.json")), "a run")
        folder = RunFolder(next(cli.folder.rglob("status.json")).parent)
        await until(lambda: is_alive(folder), "its lock")
        dashboards = psutil.Process(process.pid).children()
        process.kill()
        await until(lambda: not any(one.is_running() for one in dashboards), "the dashboard's end")
        assert is_alive(folder)

        process, address, token = start_server(cli)
        await status(browser, address + token)
        page = await open_page(browser, address)
        await page.shows("demo")
        dashboards = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        await over(page)
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert process.communicate()[1] == ""
    assert not any(dashboard.is_running() for dashboard in dashboards)
    assert is_alive(folder)


def test_other_machines_are_let_in_only_if_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        assert is_loopback(host)
    for host in (EVERYWHERE, "::", ""):
        with pytest.raises(UserError, match="--any-host"):
            ui(0, host)
    with pytest.raises(UserError, match="no name of this machine"):
        ui(0, "no such host")
    asked = []
    monkeypatch.setattr("trainer_core.web.serve.serve", lambda *given: asked.append(given))
    ui(0, EVERYWHERE, any_host=True)
    assert asked == [(EVERYWHERE, 0, "")]


async def test_a_server_for_other_machines_asks_for_the_token_too() -> None:
    async with serving(frozenset({"gpu7"}), only_here=False) as (address, browser):
        port = address.rpartition(":")[2]
        for host, allowed in (("gpu7", True), ("192.0.2.1", True), ("evil.example", False)):
            name = f"{host}:{port}"
            assert await status(browser, address, Host=name) == 403
            cookie = f"backprop-{port}={TOKEN}"
            expected = 200 if allowed else 403
            assert await status(browser, address, Host=name, Cookie=cookie) == expected


def test_a_token_of_ones_own_is_long_and_never_printed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(UserError, match="too easy to guess"):
        ui(0)
    cli.environment[TOKEN_VARIABLE] = TOKEN
    process, _, token = start_server(cli)
    assert token == f"/?token=${TOKEN_VARIABLE}"
    process.send_signal(signal.SIGTERM)
    printed = "".join(process.communicate(timeout=20))
    assert process.returncode == 0
    assert TOKEN not in printed


async def test_a_port_that_is_taken_and_an_extra_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as (address, _):
        port = int(address.rpartition(":")[2])
        with pytest.raises(UserError, match=f"port {port} is in use"):
            await asyncio.to_thread(ui, port)
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("pip install 'backprop-tui[web]'")):
        ui(0)


def start_server(cli: Cli) -> tuple["subprocess.Popen[str]", str, str]:
    """The server as a person starts it; its address, and what follows it when it is new."""
    process = cli.start("ui", "--port", "0")
    assert process.stdout is not None
    address, mark, token = process.stdout.readline().rpartition(" ")[2].strip().partition("/?")
    return process, address, mark + token


class Page:
    """What a browser's terminal shows of a dashboard: 100x30 cells."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self._screen = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self._screen)
        self.line = line

    async def shows(self, words: str) -> None:
        """Wait until `words` stand on the screen."""
        deadline = time.monotonic() + 30
        while words not in "\n".join(self._screen.display):
            message = await self.line.receive(max(0.1, deadline - time.monotonic()))
            assert message.type is aiohttp.WSMsgType.BINARY, message
            self._stream.feed(message.data)
            assert time.monotonic() < deadline, f"no {words!r} on {self._screen.display}"

    async def press(self, keys: str) -> None:
        await self.line.send_json(["stdin", keys])


async def open_page(browser: aiohttp.ClientSession, address: str) -> Page:
    size = "width=100&height=30"
    return Page(await browser.ws_connect(f"{address}/ws?{size}", origin=address))


async def over(page: Page) -> None:
    """Wait until the server closes the page's line."""
    async with asyncio.timeout(30):
        async for _drawn in page.line:
            pass
    assert page.line.close_code in {aiohttp.WSCloseCode.OK, aiohttp.WSCloseCode.GOING_AWAY}


async def until(condition: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_for, condition, 90, what)
