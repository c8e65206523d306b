"""What was said in conversations with models: a line of JSON an answer, a file a day."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer_core.runs.folder import RunFolder
from trainer_core.runs.jsonl import AppendFile
from trainer_core.runs.registry import state_folder

FORMAT = 1


def transcript_of(run: RunFolder | None) -> Path:
    """Today's file: in the run's folder, or in the user's state folder where there is no run."""
    folder = run.transcripts if run is not None else state_folder() / "transcripts"
    return folder / f"{time.strftime('%Y-%m-%d')}.jsonl"


def keep(run: RunFolder | None, facts: Mapping[str, Any]) -> None:
    """Append an answer to today's file. Raises OSError; a run that is gone is not made again."""
    path = transcript_of(run)
    path.parent.mkdir(parents=run is None, exist_ok=True)
    line = {"format": FORMAT, "time": time.time(), **facts}
    text = json.dumps(line, ensure_ascii=False)
    file = AppendFile(path)
    try:
        file.append(text.encode("utf-8", "replace"))
    finally:
        file.close()
