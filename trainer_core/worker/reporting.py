"""The report of a run that has just ended, written by a process of its own: it needs a plotting
library, which whoever watches over a job does not load."""

import os
import shlex
import subprocess
import sys
from contextlib import suppress

from trainer_core.runs.folder import RunFolder

# -P: nothing is imported from the folder that we stand in, which may be anybody's.
WRITER = (sys.executable, "-P", "-m", "trainer_core.report")
# A report takes a second or two, on a machine that is busy a few more.
SECONDS = 60.0


def report_on(folder: RunFolder) -> None:
    """Write report.md and its plots, and wait for them. What goes wrong stands in worker.log, and
    changes nothing for the run."""
    with suppress(OSError), folder.worker_log.open("ab") as log:
        try:
            subprocess.run(
                [*WRITER, str(folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            again = f"backprop report {shlex.quote(str(folder.path))}"
            log.write(f"no report: it took over {SECONDS:.0f} s; write it: {again}\n".encode())
