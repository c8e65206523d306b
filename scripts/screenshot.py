"""The picture in the README, exported from the running dashboard.

python scripts/screenshot.py RUN_FOLDER docs/train.svg
"""

import asyncio
import sys
from pathlib import Path

from trainer_core.runs.folder import RunFolder
from tui.app import BackpropApp


async def main(run: Path, picture: Path) -> None:
    """Open the dashboard on a run that has ended, wait until all is there, and export."""
    app = BackpropApp(open_run=RunFolder(run.resolve()))
    async with app.run_test(size=(120, 40)) as pilot:
        for _ in range(40):
            await pilot.pause(0.1)
        picture.write_text(app.export_screenshot(title="backprop"), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
