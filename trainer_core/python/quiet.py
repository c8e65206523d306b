"""The libraries' own progress bars, left out: where a person's program runs, ours is the one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_other_bars() -> Iterator[None]:
    """While the block runs, neither the hub's client nor transformers draws a bar."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    had = not are_progress_bars_disabled()
    if had:
        disable_progress_bars()
    # Where it is imported in the block, it asks the hub's client.
    transformers = sys.modules.get("transformers")
    logging = transformers.utils.logging if transformers is not None else None
    drew = logging is not None and logging.is_progress_bar_enabled()
    if logging is not None and drew:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if had:
            enable_progress_bars()
        if logging is not None and drew:
            logging.enable_progress_bar()
