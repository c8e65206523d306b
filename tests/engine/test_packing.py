"""Packed examples are trained as if each stood alone, or packing is refused."""

from typing import Any

import numpy as np
import pytest

from trainer_core.config.load import load_config
from trainer_core.errors import UserError
from trainer_core.tokens.examples import IGNORED, Example

torch = pytest.importorskip("torch")

from trainer_core.engine.attention import (  # noqa: E402 - torch may be missing
    BY_EXAMPLE,
    attend_by_example,
    packing_difference,
    require_packing,
)


@pytest.fixture(scope="module", params=["whole rows", "by example"])
def model(request: pytest.FixtureRequest) -> Any:
    from trainer_core.config.shipped import shipped
    from trainer_core.engine import transformers_backend as backend

    base = shipped("configs") / "demo" / "base"
    settings = ["model.backend=transformers", "model.quantization=none", "lora.rank=16"]
    config = load_config(None, [f"model.base={base}", "data.train=x", *settings]).config
    model = backend.load(base, config, torch.float32)
    if request.param == "by example":
        attend_by_example(model)
        assert model.config._attn_implementation == BY_EXAMPLE
    return model


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


# Small models with random weights; some look back no further than eight tokens.
TINY = {
    "vocab_size": 600,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
}
FAMILIES = {
    "llama": {},
    "mistral": {"sliding_window": 8},
    "qwen2": {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 2},
    "qwen3": {},
    "gemma3_text": {"sliding_window": 8},
    "phi3": {"sliding_window": 8},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_one_example_at_a_time_gives_what_the_whole_mask_gives(family: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **TINY, **FAMILIES[family])
    model = AutoModelForCausalLM.from_config(config).eval()
    lengths = [23, 1, 17, 40]
    ids = torch.randint(5, 600, (2, sum(lengths)))
    positions = torch.cat([torch.arange(n) for n in lengths])[None].expand(2, -1)
    masked = model(input_ids=ids, position_ids=positions, use_cache=False).logits
    masked.sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    attend_by_example(model)
    assert config._attn_implementation == BY_EXAMPLE
    ours = model(input_ids=ids, position_ids=positions, use_cache=False).logits
    torch.testing.assert_close(ours, masked, rtol=1e-4, atol=1e-5)
    ours.sum().backward()
    found = [p.grad for p in model.parameters() if p.grad is not None]
    torch.testing.assert_close(found, gradients, rtol=1e-3, atol=1e-4)
    assert packing_difference(model) < 1e-5
    prompt = {"input_ids": ids[:1, :20], "attention_mask": torch.ones(1, 20, dtype=torch.long)}
    answer = {"max_new_tokens": 12, "do_sample": False}
    written = model.generate(**prompt, **answer)
    model.set_attn_implementation("sdpa")
    assert written.tolist() == model.generate(**prompt, **answer).tolist()


def test_a_model_that_lets_examples_see_one_another_is_refused(model: Any) -> None:
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
