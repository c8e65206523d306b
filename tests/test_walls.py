"""The walls of the house: who may import what, in the sources and in a running process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.history.written import finished, prediction

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "unsloth", "trl", "peft", "datasets"}


def test_import_contracts() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "program",
    [
        "import trainer_core",
        "import tui.app, tui.screens.train, tui.screens.system, tui.screens.try_",
        "import trainer_core.worker.client, trainer_core.worker.supervisor",
        "from trainer_core.cli import _application; _application()",
        "from trainer_core.cli.launch import preflight\n"
        "from trainer_core.config.load import load_config\n"
        "preflight(load_config(Path('configs/demo/demo.yaml')))",
    ],
)
def test_light_programs_load_nothing_heavy(program: str) -> None:
    check = "\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom pathlib import Path\n{program}{check}"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    "words",
    ["", "list --sort eval", "show a", "diff a b --all", "export --metrics", "rm a b --yes"],
)
def test_the_history_loads_nothing_heavy(tmp_path: Path, words: str) -> None:
    for name in ("a", "b"):
        prediction(finished(tmp_path / name, name), {"x?": ("X", "X"), "y?": ("Y", "Z")})
    program = f"""
import atexit, sys
from trainer_core.cli import main
atexit.register(lambda: print(*sorted({{name.split('.')[0] for name in sys.modules}})))
sys.argv = ['backprop', 'runs', *{words.split()}]
main()
"""
    loaded = _last_line(program)
    assert "trainer_core" in loaded
    assert not HEAVY & loaded


def test_a_replay_is_prepared_with_nothing_heavy(tmp_path: Path) -> None:
    finished(tmp_path / "a", "a")
    program = """
import sys
from trainer_core.cli import _application
from trainer_core.history.replaying import replay_of
from trainer_core.runs.registry import find_run
_application()
assert replay_of(find_run("a"), ["training.steps=3"])[1].anew
print(*sorted({name.split('.')[0] for name in sys.modules}))
"""
    assert not HEAVY & _last_line(program)


def _last_line(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_the_first_frame_loads_nothing_heavy() -> None:
    program = """
import asyncio, sys
from tui.app import BackpropApp
async def main():
    async with BackpropApp().run_test() as pilot:
        await pilot.pause()
        print(*sorted({name.split('.')[0] for name in sys.modules}))
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "textual" in loaded
    assert not (HEAVY | {"numpy", "textual_plot"}) & loaded
