"""A run that waits for room on a GPU and then, as any run, goes on: `waiting_run.py FOLDER`.

It makes `started` in its folder when its turn has come (with the GPU that it chose), and takes its
first step when a file `step` is there.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from trainer_core.runs.control import Control
from trainer_core.runs.events import Metrics
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.recorder import Recorder
from trainer_core.worker import waiting

waiting.LOOK_SECONDS = 0.02
waiting.SAY_SECONDS = 0.0

if __name__ == "__main__":
    folder = RunFolder(Path(sys.argv[1]))
    recorder = Recorder(folder, lambda event: None)
    waiting.wait_for_room(folder, recorder, Control())
    (folder.path / "started").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    while not (folder.path / "step").exists():
        time.sleep(0.01)
    recorder.record(Metrics(step=1, total_steps=2, epoch=0.1, elapsed=0.0, values={}))
    sys.stdin.read()
