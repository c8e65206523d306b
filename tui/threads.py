"""The way back from a thread into the dashboard's own."""

from collections.abc import Callable

from textual.screen import Screen


def tell(screen: "Screen[None]", what: Callable[..., None], *given: object) -> None:
    """From a thread: let `screen` do something in the dashboard's thread; returns when it is done.

    Nothing is done where the screen or the dashboard is being closed: it may have no widgets any
    more, or only some.
    """

    def told() -> None:
        if screen.app.is_running and screen.is_attached and screen.display:
            what(*given)

    try:
        app = screen.app
    except RuntimeError:  # it was closed already
        return
    app.call_from_thread(told)
