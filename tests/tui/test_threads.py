"""What a thread has found comes to a screen that is there, and to no other."""

import asyncio

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from tests.tui.written_runs import opened
from tui.threads import tell


class Leaving(Static):
    """A thread of its screen comes back just when this has begun to go."""

    async def on_unmount(self) -> None:
        screen = self.screen
        assert isinstance(screen, Listening)
        await asyncio.to_thread(tell, screen, screen.heard.append, "while it closes")


class Listening(Screen[None]):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def compose(self) -> ComposeResult:
        yield Leaving()


async def test_a_screen_is_told_until_it_begins_to_close() -> None:
    async with opened() as (app, _):
        screen = Listening()
        await app.push_screen(screen)
        await asyncio.to_thread(tell, screen, screen.heard.append, "while it is open")
        await app.pop_screen()
        await asyncio.to_thread(tell, screen, screen.heard.append, "after it")
        assert screen.heard == ["while it is open"]


async def test_a_dashboard_that_is_quit_while_a_thread_works_ends_in_peace() -> None:
    async with opened() as (app, _):
        screen = Listening()
        await app.push_screen(screen)
    assert screen.heard == []
