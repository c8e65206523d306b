"""Of a damaged checkpoint the run says so, keeps it aside and goes on from the one before."""

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.trainings import WEIGHTS, Training
from trainer_core.errors import UserError

torch = pytest.importorskip("torch")


def rewrite(path: Path, change: Callable[[bytearray], object]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def zero_tail(data: bytearray) -> None:
    data[-64:] = bytes(64)


def truncate(data: bytearray) -> None:
    del data[len(data) // 2 :]


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.place,)


def to_pickle(checkpoint: Path) -> None:
    (checkpoint / "optimizer.safetensors").unlink()
    marker = checkpoint.parents[1] / "unpickled"
    for name in ("optimizer.pt", "rng_state.pth", "training_args.bin", "adapter_model.bin"):
        (checkpoint / name).write_bytes(pickle.dumps(Touch(marker)))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit of the weights": lambda c: rewrite(c / WEIGHTS, flip),
    "the tail of the weights": lambda c: rewrite(c / WEIGHTS, zero_tail),
    "half of the weights": lambda c: rewrite(c / WEIGHTS, truncate),
    "no weights": lambda c: (c / WEIGHTS).unlink(),
    "a bit of the optimizer": lambda c: rewrite(c / "optimizer.safetensors", flip),
    "pickles in place of the optimizer": to_pickle,
    "half of the counters": lambda c: rewrite(c / "loop.json", truncate),
    "no position": lambda c: (c / "position.json").unlink(),
    "an empty random state": lambda c: (c / "random.safetensors").write_bytes(b""),
    "no manifest": lambda c: (c / "manifest.json").unlink(),
    "half of the manifest": lambda c: rewrite(c / "manifest.json", truncate),
    "a manifest of something else": lambda c: (c / "manifest.json").write_text("[]"),
    "a file for a folder": lambda c: (shutil.rmtree(c), c.write_text("")),
    "an empty folder": lambda c: (shutil.rmtree(c), c.mkdir()),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Iterator[Training]:
    """A run with checkpoints of steps 2 and 4, and a last step to come."""
    from trainer_core.runs.control import Control

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        training = Training(tmp_path_factory.mktemp("run") / "run", demo, **{"training.steps": 5})
        control = Control()

        def stop(event: object) -> bool:
            if getattr(event, "type", "") == "checkpoint" and getattr(event, "step", 0) == 4:
                control.ask("stop")
            return False

        training.go(stop, control)
        yield training


def copied(run: Training, place: Path) -> Training:
    shutil.copytree(run.folder.path, place)
    copy = object.__new__(Training)
    copy.folder, copy.events = type(run.folder)(place), []
    return copy


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_is_used_and_the_damaged_one_kept(
    stopped: Training, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = copied(stopped, tmp_path / "run")
    DAMAGES[damage](run.folder.checkpoints / "step-4")
    assert run.go().outcome == "finished"
    assert run.of("plan")[0].resumed_from == 2
    assert "damaged-step-4-1" in run.checkpoints
    (said,) = [line for line in caplog.messages if "was set aside" in line]
    assert said.startswith("step-4 is damaged and was set aside as damaged-step-4-1: ")
    assert not (tmp_path / "run" / "unpickled").exists()
    assert run.losses[5] == pytest.approx(run.losses[5])
    assert max(run.losses) == 5


def test_with_none_left_it_begins_anew(stopped: Training, tmp_path: Path) -> None:
    run = copied(stopped, tmp_path / "run")
    for checkpoint in run.folder.checkpoints.iterdir():
        rewrite(checkpoint / WEIGHTS, flip)
    assert run.go().outcome == "finished"
    assert sorted(run.losses) == [1, 2, 3, 4, 5]
    assert run.of("plan")[0].resumed_from is None
    assert {"damaged-step-2-1", "damaged-step-4-1"} <= set(run.checkpoints)


def test_one_of_a_newer_version_is_left_to_that_version(stopped: Training, tmp_path: Path) -> None:
    run = copied(stopped, tmp_path / "run")
    path = run.folder.checkpoints / "step-4" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(UserError, match="format 99, this version reads 2"):
        run.go()
    assert run.checkpoints == ["step-2", "step-4"]
