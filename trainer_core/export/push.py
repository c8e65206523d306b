"""An export uploaded to the Hugging Face hub: only what others are meant to have, in one commit.

The token is HF_TOKEN's, from the environment; a login that is stored on this machine is not used,
and the token stands in no file, message or log.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trainer_core.errors import BackpropError, UserError
from trainer_core.text import one_line

# What goes along. Not what the job keeps: its events, its log, and check.json, which holds rows.
_BESIDE = ("README.md", "Modelfile")
_MESSAGE = "Upload an export of backprop"


def require_token() -> str:
    """HF_TOKEN. Raises UserError if it is not set."""
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        raise UserError(
            "HF_TOKEN is not set, and the hub takes nothing without a token",
            hint="Make one that may write at https://huggingface.co/settings/tokens.",
        )
    return token


def push(
    folder: Path, repository: str, made: Sequence[str], tell: Callable[[int, int], None]
) -> str:
    """Upload what was `made` in `folder` (paths of files and folders there), its card and its
    Modelfile to `repository` (owner/name), which is made, private, if it is not there. Returns its
    address. `tell` gets the bytes sent and those of all files, after each file; what it raises ends
    the upload, and nothing shows in the repository.

    Raises UserError without a token, BackpropError where the hub cannot be reached or refuses.
    """
    token = require_token()
    files = sorted(path for name in [*_BESIDE, *made] for path in _files(folder / name))
    with _sentences(repository, token):
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=token)
        url = api.create_repo(repository, private=True, exist_ok=True)
        additions = [
            CommitOperationAdd(path.relative_to(folder).as_posix(), str(path)) for path in files
        ]
        total, done = sum(path.stat().st_size for path in files), 0
        tell(done, total)
        for path, addition in zip(files, additions, strict=True):
            api.preupload_lfs_files(repository, [addition], free_memory=False)
            done += path.stat().st_size
            tell(done, total)
        api.create_commit(repository, additions, commit_message=_MESSAGE)
    return str(url)


def _files(path: Path) -> list[Path]:
    """`path` itself, or all files below it; none where there is nothing."""
    return [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]


@contextmanager
def _sentences(repository: str, token: str) -> Iterator[None]:
    """What goes wrong at the hub as one sentence, without the token in it."""
    try:
        yield
    except BackpropError:
        raise
    except Exception as error:  # hf_xet has errors of its own, that say nothing of their kind
        raise _sentence(_cause(error), repository, token) from None


def _cause(error: Exception) -> BaseException:
    """The client wraps what went wrong with one file."""
    return error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error


def _sentence(error: BaseException, repository: str, token: str) -> BackpropError:
    from httpx import TransportError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    said = getattr(error, "server_message", None) or str(error) or type(error).__name__
    reason = one_line(said.replace(token, "…"), limit=300)
    if isinstance(error, OfflineModeIsEnabled):
        return BackpropError(
            "nothing is uploaded while HF_HUB_OFFLINE is set", hint="Unset it, and try again."
        )
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        what, way = _STATUSES.get(status, (f"the hub refuses the upload ({status}): {reason}", ""))
        return BackpropError(what.format(repository), hint=way.format(repository))
    if isinstance(error, TransportError | ConnectionError | TimeoutError):
        return BackpropError(
            f"the hub cannot be reached: {reason}",
            hint="Check the connection. What was exported stays; only the upload is missing.",
        )
    return BackpropError(f"the upload to {repository} failed: {reason}")


_STATUSES = {
    401: (
        "the hub does not know the token in HF_TOKEN",
        "Make one that may write at https://huggingface.co/settings/tokens.",
    ),
    403: (
        "the token in HF_TOKEN may not write to {}",
        "Give it the right to write there, or name a repository of your own.",
    ),
    404: (
        "the hub has no {}, or the token in HF_TOKEN may not see it",
        "Check the owner's name; the repository itself is made if it is missing.",
    ),
}
