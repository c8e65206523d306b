"""The worker as it is, but for less patience with a preview that nobody looks at any more."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from trainer_core.worker import supervisor

supervisor.LINGER_SECONDS = 0.3
supervisor.LOOK_SECONDS = 0.1

if __name__ == "__main__":
    sys.exit(supervisor.main(sys.argv[1:]))
