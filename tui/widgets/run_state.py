"""How the state of a run looks: a word, a symbol, a style; never the colour alone."""

from rich.text import Text

_LOOKS = {
    "starting": ("◌", ""),
    "running": ("▶", "green"),
    "paused": ("‖", "yellow"),
    "stopping": ("◍", "yellow"),
    "finished": ("✔", "green"),
    "stopped": ("■", ""),
    "failed": ("✖", "red"),
    "died": ("✖", "red"),
}


def state_text(state: str) -> Text:
    """For example `▶ running`."""
    symbol, style = _LOOKS.get(state, ("?", ""))
    return Text(f"{symbol} {state}", style)
