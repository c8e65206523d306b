"""What trackers do not do: call out of the machine when nobody asked, and repeat secrets."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.test_demo import NO_NETWORK
from tests.tracking.reading import read_back
from tests.tracking.recorded import RecordedRun
from trainer_core.config.schema import TRACKERS
from trainer_core.tracking.told import read_told

CANARY = "canary" + "0123456789" * 4


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Whoever calls out of this machine, however it does: a socket of Python's is refused, and what
    is not Python is sent to a proxy of ours, which says no."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_NETWORK)
    written = tmp_path / "calls.txt"
    found: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def listen() -> None:
            while True:
                try:
                    client, _ = proxy.accept()
                except OSError:
                    return
                with client:
                    found.append(client.recv(1000).decode(errors="replace"))

        threading.Thread(target=listen, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, address)
        monkeypatch.setenv("CALLS_OUT", str(written))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=":")
        monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
        yield found
        proxy.shutdown(socket.SHUT_RDWR)
    if written.exists():
        found.append(written.read_text())


@pytest.mark.parametrize("name", TRACKERS)
def test_nobody_is_called(name: str, tmp_path: Path, calls: list[str]) -> None:
    pytest.importorskip(name)
    run = RecordedRun(tmp_path / "20260101-birds")
    run.answer("before", 0)
    run.train(1, 10)
    run.finish(10)
    assert run.tell(name) == 0
    assert len(read_back(name, run.folder.path).curves["train/loss"]) == 10
    assert calls == []


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (
            "wandb",
            {
                "WANDB_API_KEY": CANARY,
                "WANDB_BASE_URL": "http://127.0.0.1:9",
                "WANDB_INIT_TIMEOUT": "3",
            },
        ),
        (
            "mlflow",
            {
                "MLFLOW_TRACKING_URI": "http://" + f"me:{CANARY}@127.0.0.1:9",
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            },
        ),
    ],
)
def test_secrets_are_not_repeated(
    name: str, settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is not there, and all that is said of it."""
    pytest.importorskip(name)
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    run = RecordedRun(tmp_path / "20260101-birds")
    run.train(1, 10)
    run.finish(10)
    assert run.tell(name) == 1
    assert read_told(run.folder, name).problem
    assert (run.folder.path / "tracking" / f"{name}.log").stat().st_size > 0
    assert CANARY.encode() not in run.written()
