"""`python -m trainer_core.worker JOB FOLDER`: the supervisor of one job."""

import sys

from trainer_core.worker.supervisor import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
