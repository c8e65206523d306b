"""From the command to the first frame, against a minimal Textual app.

    python benchmarks/startup.py [--pairs 10]

Each side is a fresh process in a terminal of 80x24; the clock stops when a word of its first screen
is on the terminal. Pairs are interleaved, one of each first to warm the disk.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time

import pexpect

MINIMAL = """
from textual.app import App
from textual.widgets import Footer, Header, Label
class Minimal(App):
    def compose(self):
        yield Header()
        yield Label("No runs yet")
        yield Footer()
Minimal().run()
"""
OURS = "from trainer_core.cli import main; main()"


def first_frame(program: str, state: str) -> float:
    """Seconds until "No runs yet" is on the screen."""
    environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": state}
    began = time.monotonic()
    screen = pexpect.spawn(
        sys.executable, ["-c", program], env=environment, dimensions=(24, 80), timeout=30
    )
    screen.expect("No runs yet")
    taken = time.monotonic() - began
    screen.close(force=True)
    return taken


def main() -> None:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=10)
    pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as state:
        first_frame(MINIMAL, state)
        first_frame(OURS, state)
        times = [(first_frame(MINIMAL, state), first_frame(OURS, state)) for _ in range(pairs)]
    minimal, ours = (statistics.median(side) for side in zip(*times, strict=True))
    print(
        f"first frame: minimal Textual app {minimal * 1000:.0f} ms, backprop {ours * 1000:.0f} ms, "
        f"ratio {ours / minimal:.2f}x (median of {pairs})"
    )


if __name__ == "__main__":
    main()
