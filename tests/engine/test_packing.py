"""Packed examples are trained as if each stood alone, or packing is refused."""

from typing import Any

import numpy as np
import pytest

from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from trainer_core.tokens.examples import IGNORED, Example

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model() -> Any:
    from trainer_core.config.shipped import shipped
    from trainer_core.engine import transformers_backend as backend

    base = shipped("configs") / "demo" / "base"
    config = load_config(None, [f"model.base={base}", "data.train=x"]).config
    return backend.load(base, config, torch.float32)


def examples(count: int) -> list[Example]:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(count):
        length = int(draw.integers(5, 40))
        spans = np.array([[length // 2, length]], dtype=np.int32)
        found.append(Example(draw.integers(5, 500, length).astype(np.int32), spans))
    return found


def loss_of(model: Any, batch: dict[str, Any]) -> float:
    """Summed over trained tokens, so that batches of other shapes can be compared."""
    with torch.no_grad():
        logits = model(**{k: v for k, v in batch.items() if k != "labels"}, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), reduction="sum"
    )
    return float(loss)


@pytest.mark.parametrize("packing", ["pack", "padding-free"])
def test_the_loss_is_that_of_the_examples_alone(model: Any, packing: str) -> None:
    from trainer_core.engine.batches import collator, to_dataset
    from trainer_core.tokens.packing import pack

    model.eval()
    chosen = examples(12)
    alone = to_dataset(chosen)
    separate = sum(loss_of(model, collator("off", 0)([alone[i]])) for i in range(12))
    lengths = np.array([len(example.ids) for example in chosen])
    rows = to_dataset(chosen, pack(lengths, 64) if packing == "pack" else None)
    batch = collator(packing, 0)([rows[i] for i in range(len(rows))])
    assert "attention_mask" not in batch
    trained = sum(int((example.labels != IGNORED).sum()) for example in chosen)
    assert int((batch["labels"] != IGNORED).sum()) == trained
    assert loss_of(model, batch) == pytest.approx(separate, rel=1e-4)


def test_a_model_that_lets_examples_see_one_another_is_refused(model: Any) -> None:
    from trainer_core.engine.attention import packing_difference, require_packing

    assert require_packing(model, "transformers") < 1e-4

    class Careless(torch.nn.Module):  # type: ignore[misc]
        """Goes on counting positions through the row."""

        dtype, device = model.dtype, model.device

        def get_input_embeddings(self) -> Any:
            return model.get_input_embeddings()

        def forward(self, input_ids: Any, position_ids: Any, use_cache: bool) -> Any:
            return model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids))

    assert packing_difference(Careless()) > 1e-2
    with pytest.raises(UserError, match=r"training\.packing: off"):
        require_packing(Careless(), "transformers")
