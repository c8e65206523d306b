"""The base model as a folder on this machine: a path as it is, a name fetched from the hub."""

import os
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.planning.facts import is_local

# Weights as safetensors only: nothing that unpickles is ever loaded. The licence is for the card of
# what is exported.
_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]


def fetch(base: str, revision: str | None = None, *, code: bool = False) -> Path:
    """The folder of a base model, downloaded if it is a name on the hub; Python `code` that comes
    with it only if it shall be run.

    Raises UserError if there is none.
    """
    path = Path(base).expanduser()
    if path.is_dir():
        return path.resolve()
    if is_local(base):
        raise UserError(
            f"the model folder {base} does not exist",
            hint="Name a folder with a model, or a model on the hub such as owner/name.",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                base, revision=revision, allow_patterns=[*_FILES, *(["*.py"] if code else [])]
            )
        )
    except LocalEntryNotFoundError:
        raise UserError(
            f"the model {base} is not on this machine and the hub cannot be reached",
            hint="Check the connection, or name a folder with the model in model.base.",
        ) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"the model {base} cannot be had from the hub: {reason}",
            hint="Check its name, and HF_TOKEN if it is gated.",
        ) from None


def cannot_load(base: str, error: Exception) -> UserError:
    """What to say where the libraries cannot load a model."""
    reason = " ".join(str(error).split())
    if "trust_remote_code" in reason:
        return UserError(
            f"the model {base} needs Python code of its own, which is not run",
            hint="Read it, and set model.trust_remote_code: true if you trust it.",
        )
    return UserError(f"the model {base} cannot be loaded: {reason[:300]}")


def quieten(offline: bool) -> None:
    """No statistics, no telemetry; and no network at all where everything is local.

    Must run before any of the libraries is imported.
    """
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
