"""Keys in the environment: whether they are set, never what they are."""

import os
from collections.abc import Iterator
from pathlib import Path

from trainer_core.hardware.doctor.finding import Finding, note, ok
from trainer_core.hardware.doctor.surroundings import Surroundings

AREA = "secrets"
HUB = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
OTHERS = ("WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN")
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def look(_: Surroundings) -> Iterator[Finding]:
    """The hub's token, the trackers' keys, and whether the hub is asked at all."""
    yield _hub()
    for name in OTHERS:
        if os.environ.get(name):
            yield ok(AREA, f"{name} is set.")
    offline = next((name for name in OFFLINE if os.environ.get(name)), None)
    if offline:
        yield note(
            AREA,
            f"{offline} is set, so no model or data is fetched from the hub.",
            "Take it away to fetch one:",
            f"unset {offline}",
        )


def _hub() -> Finding:
    name = next((name for name in HUB if os.environ.get(name)), None)
    if name:
        return ok(AREA, f"{name} is set.")
    if _token_file().is_file():
        return ok(AREA, "HF_TOKEN is not set, and a login to the hub is kept in a file.")
    return note(
        AREA,
        "HF_TOKEN is not set: private and gated models cannot be fetched.",
        "Public ones need no token. For the others, log in once:",
        "hf auth login",
    )


def _token_file() -> Path:
    """Where huggingface_hub keeps a login."""
    general = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = os.environ.get("HF_HOME") or Path(general) / "huggingface"
    return Path(os.environ.get("HF_TOKEN_PATH") or Path(home) / "token").expanduser()
