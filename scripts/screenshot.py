"""The pictures in the documentation, exported from the running dashboard.

python scripts/screenshot.py RUN_FOLDER docs/train.svg
python scripts/screenshot.py RUN_FOLDER docs/export.svg 5 v G
python scripts/screenshot.py RUN_FOLDER docs/try.svg 6 v wait enter wait
python scripts/screenshot.py MULTI_RUN_FOLDER docs/forgetting.svg f
python scripts/screenshot.py configs/demo/demo.yaml docs/data.svg j j j
python scripts/screenshot.py --config configs/demo/demo.yaml docs/config.svg \\
    d P $(yes j | head -12) enter
"""

import asyncio
import sys
from pathlib import Path

from trainer_core.runs.folder import RunFolder
from tui.app import BackpropApp


async def main(what: Path, picture: Path, keys: list[str], edit: bool) -> None:
    """Open the dashboard on a run that has ended, on data, or on a config to edit; wait until all
    is there, press the keys (`wait`: for 20 seconds), and export."""
    run = RunFolder(what.resolve()) if what.is_dir() else None
    app = BackpropApp(open_run=run, data="" if run or edit else str(what))
    async with app.run_test(size=(120, 40)) as pilot:
        if edit:
            app.open_config(str(what))
        elif run is None:
            app.open_data(str(what))
        for _ in range(40):
            await pilot.pause(0.1)
        for key in keys:
            if key == "wait":
                await pilot.pause(20)
            else:
                await pilot.press(key)
            await pilot.pause(0.5)
        picture.write_text(app.export_screenshot(title="backprop"), encoding="utf-8")


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--config"]
    edit = "--config" in sys.argv
    asyncio.run(main(Path(arguments[0]), Path(arguments[1]), arguments[2:], edit))
