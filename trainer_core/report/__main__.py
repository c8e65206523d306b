"""`python -m trainer_core.report FOLDER`: write the report of a run that has just ended. A process
of its own, because a supervisor stays light and lives on whatever goes wrong here."""

import sys
from pathlib import Path

from trainer_core.errors import UserError
from trainer_core.report.write import write_report
from trainer_core.runs.folder import RunFolder

if __name__ == "__main__":
    try:
        write_report(RunFolder(Path(sys.argv[1])))
    except UserError as error:
        sys.exit(f"no report: {error}")
