"""Saves a checkpoint again and again, each time with the next of its system calls going wrong.

Run by test_every_write.py with the shim loaded: the libraries are imported once, and each attempt
is a forked process. Prints one JSON object: how many calls a save makes, and what went wrong.
"""

import errno
import json
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

torch.set_num_threads(1)

from tests.faults.shim import Shim  # noqa: E402 - after the threads are set
from trainer_core.engine import loop_state  # noqa: E402
from trainer_core.engine.adapter import load_trained, save_trained, write_trained  # noqa: E402
from trainer_core.engine.checkpoint import (  # noqa: E402
    clear_half_made,
    list_checkpoints,
    prune,
    step_of,
    write_checkpoint,
)
from trainer_core.engine.resuming import resume_point  # noqa: E402
from trainer_core.runs.events import Log, decode  # noqa: E402
from trainer_core.runs.folder import RunFolder  # noqa: E402
from trainer_core.runs.recorder import Recorder  # noqa: E402

ERRORS = {"killed": 0, "full": errno.ENOSPC, "failing": errno.EIO}


def main(base: Path, every: int) -> None:
    """Try every `every`th call of each of the things that a run writes."""
    model, optimizer, scheduler = _model(base)
    shim, found = Shim(), {}

    def save(folder: RunFolder) -> None:
        def fill(place: Path) -> None:
            write_trained(model, place)
            loop_state.save_loop_state(place, optimizer, scheduler, loop_state.random_state())
            loop_state.write_position(place, loop_state.Position(10, None, None))

        write_checkpoint(folder.checkpoints, 20, fill)
        prune(folder.checkpoints, 1, ())

    def ship(folder: RunFolder) -> None:
        save_trained(model, folder.adapter / "last", base)

    def record(folder: RunFolder) -> None:
        recorder = Recorder(folder, lambda _: None)
        for number in range(3):
            recorder.record(Log(level="INFO", message=f"new {number}"))
        recorder.close()

    works = {"checkpoint": save, "adapter": ship, "events": record}
    with tempfile.TemporaryDirectory() as place:
        before = RunFolder(Path(place, "before"))
        before.path.mkdir()
        write_checkpoint(before.checkpoints, 10, lambda folder: write_trained(model, folder))
        ship(before)
        record(before)
        for name, work in works.items():
            calls = _attempt(shim, before, Path(place, "count"), work, 0, 0)[1]
            wrong = [
                f"{name}, call {call} of {calls}, {way}: {problem}"
                for way, error in ERRORS.items()
                for call in range(1, calls + 1, every)
                if (problem := _try(shim, before, Path(place, "try"), work, call, error, model))
            ]
            found[name] = {"calls": calls, "tried": len(range(1, calls + 1, every)) * 3}
            found[name]["wrong"] = wrong
    print(json.dumps(found))


def _attempt(
    shim: Shim, before: RunFolder, place: Path, work: Any, call: int, error: int
) -> tuple[RunFolder, int]:
    """Do it in a forked process, on a copy of what was there; returns the number of calls."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(before.path, place)
    folder = RunFolder(place)
    count = place.with_suffix(".count")
    child = os.fork()
    if child == 0:
        shim.arm(place, call, error=error)
        with suppress(Exception):  # it was meant to fail
            work(folder)
        calls = shim.count()
        shim.arm(Path("/nowhere"), 0)
        count.write_text(str(calls))
        os._exit(0)
    os.waitpid(child, 0)
    return folder, int(count.read_text()) if call == 0 else 0


def _try(
    shim: Shim, before: RunFolder, place: Path, work: Any, call: int, error: int, model: Any
) -> str:
    """What is wrong with what is left; empty if all that was there can be read."""
    folder, _ = _attempt(shim, before, place, work, call, error)
    newest, named = resume_point(folder), list_checkpoints(folder.checkpoints)
    if newest is None:
        return "no checkpoint is whole"
    load_trained(model, newest)
    if newest != named[-1] or len(list(folder.checkpoints.glob("damaged-*"))):
        return "what is called a checkpoint is none"
    if step_of(newest) == 10 and (folder.checkpoints / "step-20").exists():
        return "the new checkpoint is not used"
    trained = folder.adapter / "last"
    if trained.is_dir():
        load_trained(model, trained)
    elif not (folder.adapter / ".last.old").is_dir():
        return "no adapter is left"
    numbers = [decode(line).n for line in folder.events.read_bytes().split(b"\n")[:-1]]
    if numbers != list(range(1, len(numbers) + 1)) or len(numbers) < 3:
        return f"the events are numbered {numbers}"
    clear_half_made(folder.checkpoints)
    left = [path.name for path in folder.checkpoints.iterdir() if path.name.startswith(".")]
    return f"left behind: {left}" if left else ""


def _model(base: Path) -> tuple[Any, Any, Any]:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["q_proj"])
    )
    optimizer = torch.optim.AdamW([w for w in model.parameters() if w.requires_grad])
    model(input_ids=torch.tensor([[1, 2]]), labels=torch.tensor([[1, 2]])).loss.backward()
    optimizer.step()
    return model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
