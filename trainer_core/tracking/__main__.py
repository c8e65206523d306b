"""`python -m trainer_core.tracking NAME RUN_FOLDER [SECONDS]`: the process that tells a tracker."""

import os
import sys

from trainer_core.tracking.follow import main

if __name__ == "__main__":
    # What is said of us, beside what the run says. A person's own word stands.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    # Unbuffered: a thread that waits in a buffer's lock would spoil the end of the process.
    with open(0, "rb", buffering=0, closefd=False) as job:
        sys.exit(main(sys.argv[1:], job))
