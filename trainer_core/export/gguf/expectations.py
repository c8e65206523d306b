"""What llama.cpp takes for granted in a model, compared with what config.json says.

Each raises UserError where the two differ: nothing is written that would speak differently.
"""

from typing import Any

from trainer_core.errors import UserError
from trainer_core.export.gguf.rope import Rope, Values, rope_of
from trainer_core.text import one_line


def head_size(config: Values) -> int:
    """Numbers of a head's query."""
    size = config.get("head_dim")
    return int(size) if size else int(config["hidden_size"]) // int(config["num_attention_heads"])


def head_keys(config: Values) -> Values:
    """The metadata of heads whose size config.json says."""
    size = config.get("head_dim")
    return {"attention.key_length": size, "attention.value_length": size} if size else {}


def plain_rope(config: Values, kinds: set[str], theta: float = 10000.0) -> Rope:
    """Positions that turn whole heads."""
    rope = rope_of(config, theta)
    expect_rope(rope, kinds)
    if rope.part != 1:
        raise UserError(f"it turns {rope.part:g} of each head; llama.cpp turns them whole")
    return rope


def expect_rope(rope: Rope, kinds: set[str]) -> None:
    """Positions are scaled in one of `kinds`."""
    if rope.kind not in kinds:
        kind = one_line(rope.kind, limit=40)
        raise UserError(f"its positions are scaled by {kind}, which llama.cpp does not do for it")


def expect(config: Values, key: str, values: set[Any]) -> None:
    """`config` has one of `values`, or nothing, which is the default."""
    if key in config and config[key] not in values | {None}:
        given = one_line(str(config[key]), limit=80)
        usual = " or ".join(str(value) for value in values)
        raise UserError(f"its {key} is {given}; llama.cpp takes it to be {usual}")


def expect_whole_heads(config: Values) -> None:
    """The heads together are as wide as the model."""
    heads, size = int(config["num_attention_heads"]), head_size(config)
    if heads * size != config["hidden_size"]:
        raise UserError(
            f"its {heads} heads of {size} do not make its hidden size of {config['hidden_size']}; "
            "llama.cpp needs that"
        )


def expect_scores(config: Values, widest: int) -> None:
    """Gemma's attention is scaled by the head's size, in the largest (known by its number of
    layers, `widest`) by the hidden size of a head."""
    usual = head_size(config)
    if config["num_hidden_layers"] == widest:
        usual = config["hidden_size"] // config["num_attention_heads"]
    if config["query_pre_attn_scalar"] != usual:
        raise UserError(
            f"its query_pre_attn_scalar is {config['query_pre_attn_scalar']}; llama.cpp takes it "
            f"to be {usual}"
        )


def expect_windows(config: Values, every: int) -> None:
    """Each `every`th layer attends to all, the others to a window."""
    layers = config.get("layer_types")
    period = config.get("sliding_window_pattern", every)
    usual = [
        "sliding_attention" if (number + 1) % every else "full_attention"
        for number in range(config["num_hidden_layers"])
    ]
    if (layers is not None and layers != usual) or (layers is None and period != every):
        raise UserError(f"llama.cpp takes one layer in {every} to attend to all; here others do")


def window_note(config: Values, used: bool = True) -> tuple[str, ...]:
    """What to say where llama.cpp has no window and the model does."""
    window = config.get("sliding_window")
    if not used or not window or window >= config["max_position_embeddings"]:
        return ()
    return (
        f"trained to attend to the last {window} tokens; llama.cpp attends to all, so longer texts "
        "differ",
    )
