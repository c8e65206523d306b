"""What all tests share: a state folder of their own, the demo model, and what lies beside us."""

from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """No test sees or changes the user's list of runs."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def demo() -> Path:
    """The folder of the shipped demo: config, data and base model."""
    return ROOT / "configs" / "demo"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Models and data beside the project; tests that want them skip without."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the project")
    return folder
