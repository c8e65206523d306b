"""Who trains: Unsloth or plain transformers. Decided before anything heavy is imported."""

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from trainer_core.errors import UserError

Backend = Literal["unsloth", "transformers"]


@dataclass(frozen=True)
class BackendChoice:
    """The backend and why."""

    name: Backend
    why: str


def choose_backend(wish: str) -> BackendChoice:
    """Resolve `model.backend`. Raises UserError if what is asked for is not installed."""
    if find_spec("torch") is None or find_spec("peft") is None:
        raise UserError(
            "training needs torch, transformers, trl and peft, which are not installed",
            hint="On a machine without a GPU: make install. With one: pip install "
            "'backprop-tui[unsloth]'.",
        )
    installed = find_spec("unsloth") is not None
    if wish == "unsloth":
        if not installed:
            raise UserError(
                "model.backend is unsloth, which is not installed",
                hint="pip install 'backprop-tui[unsloth]', or set model.backend to auto.",
            )
        return BackendChoice("unsloth", "as configured")
    if wish == "transformers":
        return BackendChoice("transformers", "as configured")
    if not installed:
        return BackendChoice("transformers", "Unsloth is not installed")
    if "transformers" in sys.modules and "unsloth" not in sys.modules:
        # Unsloth patches transformers as it is imported, and comes too late here.
        return BackendChoice("transformers", "transformers was imported before Unsloth could be")
    return BackendChoice("unsloth", "Unsloth is installed")
