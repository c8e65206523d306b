"""The sizes of a model, from its config.json: how many numbers its weights and adapters hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Targets = Literal["all-linear"] | list[str]

# Sizes are counted in 32 bits everywhere; what is larger is no size.
_LARGEST = 2**31
# Families whose MLP has no gate: two matrices instead of three.
_UNGATED = {"bloom", "codegen", "falcon", "gpt2", "gpt_neo", "gpt_neox", "gptj", "mpt", "opt"}
_UNGATED |= {"phi", "starcoder2"}
# Families that keep query, key and value in one matrix, and the MLP's gate and up in another.
_FUSED = {"phi3"}
# Families with norms before and after attention and MLP, and those that norm queries and keys.
_FOUR_NORMS = ("gemma2", "gemma3")
_HEAD_NORMS = ("qwen3", "gemma3")


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a decoder-only transformer.

    `intermediate` is the width of one expert's MLP where there are several. `other_parameters` are
    those that the sizes do not tell, such as a vision tower's.
    """

    model_type: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    experts: int = 1
    active_experts: int = 1
    attention_bias: bool = False
    other_parameters: int = 0

    @property
    def query_width(self) -> int:
        """Numbers in the queries of one token."""
        return self.heads * self.head_dim

    @property
    def key_value_width(self) -> int:
        """Numbers in the keys and values of one token, together."""
        return 2 * self.kv_heads * self.head_dim

    @property
    def mlp_width(self) -> int:
        """Numbers in the middle of the MLP for one token: of all the experts that it goes to."""
        return self.active_experts * self.intermediate

    @property
    def norms(self) -> int:
        """Norms over the hidden states in one layer."""
        return 4 if self.model_type.startswith(_FOUR_NORMS) else 2

    @property
    def head_norm_width(self) -> int:
        """Numbers of one token that norms over single heads read: queries and keys."""
        has = self.model_type.startswith(_HEAD_NORMS)
        return self.query_width + self.key_value_width // 2 if has else 0

    @property
    def linear_parameters(self) -> int:
        """In the linear layers of attention and MLP: what quantization and "all-linear" reach."""
        attention = self.hidden * (2 * self.query_width + self.key_value_width)
        matrices = 2 if self.model_type in _UNGATED else 3
        mlp = matrices * self.hidden * self.intermediate * self.experts
        return self.layers * (attention + mlp)

    @property
    def embedding_parameters(self) -> int:
        """In the input embedding, and in the head where it has weights of its own."""
        return self.vocab * self.hidden * (1 if self.tied else 2)

    @property
    def small_parameters(self) -> int:
        """In norms, biases and routers: approximately, they are less than a thousandth."""
        layer = self.norms * self.hidden
        if self.attention_bias:
            layer += self.query_width + self.key_value_width
        if self.head_norm_width:
            layer += 2 * self.head_dim  # a norm of queries and one of keys
        if self.experts > 1:
            layer += self.hidden * self.experts
        return self.layers * layer + self.hidden

    @property
    def parameters(self) -> int:
        """All of them."""
        known = self.linear_parameters + self.embedding_parameters + self.small_parameters
        return known + self.other_parameters

    @property
    def largest_matrix(self) -> int:
        """Numbers in the largest linear layer: quantised weights are unpacked one at a time."""
        return max((inside * outside for inside, outside, _ in self.modules().values()), default=0)

    def modules(self) -> dict[str, tuple[int, int, int]]:
        """The linear layers by name: width of input and output, and how many there are in one layer
        of the model."""
        hidden, query, both = self.hidden, self.query_width, self.key_value_width
        middle, experts = self.intermediate, self.experts
        if self.model_type in _FUSED:
            into = {
                "qkv_proj": (hidden, query + both, 1),
                "gate_up_proj": (hidden, 2 * middle, experts),
            }
        else:
            into = {
                "q_proj": (hidden, query, 1),
                "k_proj": (hidden, both // 2, 1),
                "v_proj": (hidden, both // 2, 1),
                "up_proj": (hidden, middle, experts),
            }
            if self.model_type not in _UNGATED:
                into["gate_proj"] = (hidden, middle, experts)
        return into | {"o_proj": (query, hidden, 1), "down_proj": (middle, hidden, experts)}

    def lora_parameters(self, rank: int, targets: Targets = "all-linear") -> int:
        """Numbers in an adapter: rank x (width in + width out) for each matrix that has one. Names
        that the model does not have count as nothing."""
        modules = self.modules()
        names = set(modules) if targets == "all-linear" else set(targets)
        found = [modules[name] for name in names if name in modules]
        numbers = self.layers * sum(count * (a + b) for a, b, count in found)
        numbers += (self.hidden + self.vocab) * len(names & {"lm_head", "embed_tokens"})
        return rank * numbers


def model_shape(config: Mapping[str, Any]) -> ModelShape | None:
    """The sizes in a config.json's content (of its `text_config` where it has one).

    None where a size is missing or no positive number of at most 31 bits, and for layers of another
    kind than those counted here (latent attention).
    """
    inner = config.get("text_config")
    sizes = inner if isinstance(inner, Mapping) else config
    model_type = sizes.get("model_type") or config.get("model_type")
    hidden = _size(sizes, "hidden_size", "n_embd")
    layers = _size(sizes, "num_hidden_layers", "n_layer")
    heads = _size(sizes, "num_attention_heads", "n_head")
    vocab = _size(sizes, "vocab_size")
    if not isinstance(model_type, str) or not (hidden and layers and heads and vocab):
        return None
    experts = _size(sizes, "num_local_experts", "num_experts", default=1)
    middle = _size(sizes, "intermediate_size", "n_inner", default=4 * hidden)
    if experts and experts > 1:
        middle = _size(sizes, "moe_intermediate_size", default=middle)
    kv_heads = _size(sizes, "num_key_value_heads", default=heads)
    head_dim = _size(sizes, "head_dim", default=hidden // heads)
    active = _size(sizes, "num_experts_per_tok", default=1)
    if not (middle and kv_heads and head_dim and experts and active) or "kv_lora_rank" in sizes:
        return None
    tied = sizes.get("tie_word_embeddings", config.get("tie_word_embeddings", True))
    return ModelShape(
        model_type=model_type,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=middle,
        vocab=vocab,
        tied=tied is not False,  # true where it is not said
        experts=experts,
        active_experts=min(active, experts),
        attention_bias=sizes.get("attention_bias") is True or model_type.startswith("qwen2"),
    )


def _size(sizes: Mapping[str, Any], *names: str, default: int | None = None) -> int | None:
    """The first of `names` that is there; `default` if none is; None if it is no size."""
    for name in names:
        value = sizes.get(name)
        if value is not None:
            good = isinstance(value, int) and not isinstance(value, bool)
            return value if good and 0 < value < _LARGEST else None
    return default if default is None or 0 < default < _LARGEST else None
