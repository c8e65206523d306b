"""What each number format may change of a model before its export counts as failed.

There is no standard for that. These stand at three to ten times what sound conversions change: of
models of 0.3 and 2 million parameters, which suffer more than large ones
(benchmarks/export/formats.py), and of Llama 3 8B (llama.cpp, tools/perplexity/README.md: Q8_0
0.0014 nats, Q6_K 0.0055, Q5_K_M 0.011, Q4_K_M 0.031, Q4_0 0.072, Q3_K_M 0.10, Q2_K 0.45). A wrong
rope, order of weights, tokenizer or template changes whole nats.
"""

from trainer_core.export.check import Limits

_EXACT = Limits(mean=0.001, worst=0.02, same=0.98)
_FIVE_BITS = Limits(mean=0.06, worst=1.0, same=0.85)
_FOUR_BITS = Limits(mean=0.15, worst=2.0, same=0.8)
_PLAIN_FOUR_BITS = Limits(mean=0.3, worst=3.0, same=0.7)
_THREE_BITS = Limits(mean=0.4, worst=4.0, same=0.65)
_BY_TYPE = {
    "f32": _EXACT,
    "f16": _EXACT,
    "bf16": Limits(mean=0.005, worst=0.1, same=0.96),
    "q8_0": Limits(mean=0.01, worst=0.2, same=0.93),
    "q6_k": Limits(mean=0.025, worst=0.5, same=0.9),
    "q5_k_m": _FIVE_BITS,
    "q5_k_s": _FIVE_BITS,
    "q5_1": _FIVE_BITS,
    "q5_0": _FIVE_BITS,
    "q4_k_m": _FOUR_BITS,
    "q4_k_s": _FOUR_BITS,
    "q4_1": _PLAIN_FOUR_BITS,
    "q4_0": _PLAIN_FOUR_BITS,
    "int4": _PLAIN_FOUR_BITS,
    "mxfp4": _PLAIN_FOUR_BITS,
    "q3_k_l": _THREE_BITS,
    "q3_k_m": _THREE_BITS,
    "q3_k_s": _THREE_BITS,
    "q2_k": Limits(mean=1.2, worst=6.0, same=0.5),
    # Ternary weights: right for models that were trained with them, and for no other.
    "tq1_0": _FOUR_BITS,
    "tq2_0": _FOUR_BITS,
}
_NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "fp32": "f32", "fp16": "f16"}


def limits_of(kind: str, *, other_base: bool) -> Limits:
    """The limits of a number format. `other_base` says that the adapter learnt on a base of 4 bits
    and stands on one of 16 now: that alone changes as much as going to 4 bits does."""
    limits = _BY_TYPE[_NAMES.get(kind, kind)]
    if not other_base:
        return limits
    four = _BY_TYPE["q4_0"]
    return Limits(
        mean=limits.mean + four.mean,
        worst=limits.worst + four.worst,
        same=min(limits.same, four.same),
    )
