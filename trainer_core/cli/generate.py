"""`backprop generate`: one answer of what was trained, and nothing besides."""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from trainer_core.cli.asking_options import (
    Base,
    Checkpoint,
    MaxTokens,
    Seed,
    Source,
    Temperature,
    TopP,
)
from trainer_core.cli.headless import AnswersAlone, follow
from trainer_core.cli.predict import with_base_if_wanted
from trainer_core.config.predict_section import PredictRequest
from trainer_core.config.sampling import Sampling
from trainer_core.errors import EXIT_FAILED
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.status import is_alive
from trainer_core.worker.launching import launch_predict


def generate(
    source: Source,
    prompt: Annotated[str, typer.Argument(help="The prompt; - reads it from stdin.")],
    base: Base = False,
    checkpoint: Checkpoint = None,
    max_tokens: MaxTokens = 256,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: Seed = 0,
) -> None:
    """Print one answer: backprop generate RUN "What is a hen?"."""
    request = PredictRequest.of(
        {
            "source": source,
            "prompt": sys.stdin.read() if prompt == "-" else prompt,
            "base": base,
            "checkpoint": checkpoint,
            "sampling": Sampling(max_tokens, temperature, top_p, seed),
        }
    )
    folder, status = Path(tempfile.mkdtemp(prefix="backprop-")), None
    try:
        job = launch_predict(with_base_if_wanted(request), folder)
        status = follow(job, printer=AnswersAlone())
        raise typer.Exit(status)
    finally:
        if status != EXIT_FAILED:  # then it was said that what is known of it lies there
            _remove(RunFolder(folder))


def _remove(job: RunFolder) -> None:
    """The folder, once its worker has written its last word there."""
    deadline = time.monotonic() + 5
    while is_alive(job) and time.monotonic() < deadline:
        time.sleep(0.02)
    shutil.rmtree(job.path, ignore_errors=True)
