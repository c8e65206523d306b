"""The walls of the house: who may import what, in the sources and in a running process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
        "from trainer_core.cli import main; sys.argv = ['backprop', 'runs']; main()",
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
