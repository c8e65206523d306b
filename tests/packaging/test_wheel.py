"""An installed wheel has everything that a checkout has at run time."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_alone_finds_what_ships(tmp_path: Path) -> None:
    built = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path)]
    subprocess.run(built, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    assert (target / "bin" / "backprop").is_file()
    program = (
        "import trainer_core, tui.themes\n"
        "from trainer_core.config.shipped import shipped\n"
        "from trainer_core.config.load import load_config\n"
        f"assert trainer_core.__file__.startswith({str(target)!r}), trainer_core.__file__\n"
        f"assert str(shipped('configs')).startswith({str(target)!r})\n"
        "assert (shipped('requirements') / 'cpu.txt').is_file()\n"
        "loaded = load_config(shipped('configs') / 'demo' / 'demo.yaml')\n"
        "from pathlib import Path\n"
        "assert (Path(loaded.config.model.base) / 'model.safetensors').is_file()\n"
        "assert Path(loaded.config.data.train[0].path).is_file()\n"
        "themes, problems = tui.themes.load_themes()\n"
        "assert len(themes) == 4 and not problems\n"
        "import sys; sys.argv = ['backprop', '--version']\n"
        "from trainer_core.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("backprop ")
