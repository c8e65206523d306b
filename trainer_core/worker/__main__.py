"""`python -m trainer_core.worker JOB FOLDER`: the supervisor of one job."""

import sys

from trainer_core.worker.signals import hold_back

if __name__ == "__main__":
    hold_back()  # what follows takes a moment to import
    from trainer_core.worker.supervisor import main

    sys.exit(main(sys.argv[1:]))
