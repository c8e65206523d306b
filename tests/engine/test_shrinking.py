"""When memory runs out in a step, it goes on in smaller pieces, and learns the same."""

from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from tests.engine.trainings import Killed, Training

torch = pytest.importorskip("torch")

from trainer_core.engine.shrink import NoMemoryError, pieces  # noqa: E402 - torch may be missing

STEPS: dict[str, Any] = {
    "training.batch_size": 4,
    "training.gradient_accumulation": 2,
    "lora.dropout": 0.0,
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@dataclass
class Memory:
    """What a model may take: so many rows at a time, and tokens a row, after its second pass."""

    rows: int = 99
    tokens: int = 9999
    passes: int = 0
    longest: int = 0


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    """More of a micro-batch than that ends in the allocator's own error, after the work is done."""
    from transformers import LlamaModel

    memory, forward = Memory(), LlamaModel.forward

    @wraps(forward)
    def limited(self: Any, *arguments: Any, **named: Any) -> Any:
        output = forward(self, *arguments, **named)
        rows, tokens = named["input_ids"].shape
        memory.passes += 1
        memory.longest = max(memory.longest, tokens)
        if memory.passes > 2 and (rows > memory.rows or tokens > memory.tokens):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return output

    monkeypatch.setattr(LlamaModel, "forward", limited)
    return memory


def close(one: Training, other: Training) -> bool:
    """The same weights, but for the order of additions."""
    first, second = one.weights("adapter/last"), other.weights("adapter/last")
    return all(torch.allclose(first[name], second[name], atol=2e-5) for name in first)


def batch(lengths: list[int]) -> dict[str, Any]:
    longest = max(lengths)
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
    ids = torch.arange(len(lengths) * longest).reshape(len(lengths), longest) * mask
    return {"input_ids": ids, "labels": ids.clone(), "attention_mask": mask}


def test_pieces_are_all_rows_in_order_without_needless_padding() -> None:
    whole = batch([5, 9, 2, 3])
    for count in (1, 2, 4, 8):
        split = pieces(whole, count)
        assert len(split) == min(count, 4)
        rows = [
            row[mask.bool()].tolist()
            for piece in split
            for row, mask in zip(piece["input_ids"], piece["attention_mask"], strict=True)
        ]
        assert rows == [
            row[mask.bool()].tolist()
            for row, mask in zip(whole["input_ids"], whole["attention_mask"], strict=True)
        ]
    assert [piece["input_ids"].shape[1] for piece in pieces(whole, 2)] == [9, 3]


def test_a_packed_row_is_cut_where_an_example_begins() -> None:
    positions = torch.tensor([[0, 1, 2, 0, 1, 0, 1, 2, 3]])
    ids = torch.arange(9)[None]
    packed = {"input_ids": ids, "labels": ids, "position_ids": positions}
    assert [p["input_ids"].tolist() for p in pieces(packed, 2)] == [
        [[0, 1, 2, 3, 4]],
        [[5, 6, 7, 8]],
    ]
    assert len(pieces(packed, 8)) == 3
    assert all(p["position_ids"][0, 0] == 0 for p in pieces(packed, 8))


@pytest.mark.parametrize("most", [2, 1])
def test_a_run_that_outgrows_memory_learns_the_same(
    demo: Path, tmp_path: Path, memory: Memory, most: int
) -> None:
    whole = Training(tmp_path / "whole", demo, **STEPS)
    whole.go()
    memory.rows = most
    shrunk = Training(tmp_path / "shrunk", demo, **STEPS)
    assert shrunk.go().outcome == "finished"
    assert close(whole, shrunk)
    for step, loss in whole.losses.items():
        assert shrunk.losses[step] == pytest.approx(loss, abs=1e-3)
    told = [event.message for event in shrunk.of("warning") if "memory ran out" in event.message]
    assert len(told) == {2: 1, 1: 2}[most]
    assert f"in {4 // most} pieces" in told[-1]


@pytest.mark.parametrize(("packing", "rows"), [("pack", 1), ("padding-free", 4)])
def test_packed_rows_are_shared_out_too(
    demo: Path, tmp_path: Path, packing: str, rows: int, memory: Memory
) -> None:
    settings = {**STEPS, "training.packing": packing, "training.batch_size": rows}
    whole = Training(tmp_path / "whole", demo, **settings)
    whole.go()
    memory.tokens = int(0.7 * memory.longest)
    shrunk = Training(tmp_path / "shrunk", demo, **settings)
    assert shrunk.go().outcome == "finished"
    assert any("memory ran out" in event.message for event in shrunk.of("warning"))
    assert close(whole, shrunk)


def test_a_validation_that_outgrows_memory_has_the_same_loss(
    demo: Path, tmp_path: Path, memory: Memory
) -> None:
    settings = {**STEPS, "training.eval_steps": 2}
    whole = Training(tmp_path / "whole", demo, **settings)
    whole.go()
    memory.rows = 3
    shrunk = Training(tmp_path / "shrunk", demo, **settings)
    shrunk.go()
    before, after = ([event.loss for event in run.of("eval")] for run in (whole, shrunk))
    assert after == pytest.approx(before, abs=1e-4)


def test_a_resume_keeps_the_pieces(demo: Path, tmp_path: Path, memory: Memory) -> None:
    memory.rows = 2
    whole = Training(tmp_path / "whole", demo, **STEPS)
    whole.go()
    killed, memory.passes = Training(tmp_path / "killed", demo, **STEPS), 0
    with pytest.raises(Killed):
        killed.go(dies=lambda event: event.type == "checkpoint" and event.step == 2)
    killed.go()
    assert killed.digest() == whole.digest()
    told = [event for event in killed.of("warning") if "memory ran out" in event.message]
    assert len(told) == 1


def test_where_one_example_is_too_much_the_run_ends_with_its_checkpoint(
    demo: Path, tmp_path: Path, memory: Memory
) -> None:
    memory.rows = 0
    run = Training(tmp_path / "run", demo, **STEPS)
    with pytest.raises(NoMemoryError, match="memory ran out in step 2"):
        run.go()


def test_stop_is_what_a_config_can_ask_for_instead(
    demo: Path, tmp_path: Path, memory: Memory
) -> None:
    memory.rows = 2
    run = Training(tmp_path / "run", demo, **STEPS, **{"safety.on_oom": "stop"})
    with pytest.raises(NoMemoryError, match=r"safety\.on_oom: stop"):
        run.go()
    assert not [event for event in run.of("warning") if "pieces" in event.message]
