"""What each number format may change of a model before its export counts as failed.

Nobody's standard: these stand well above what sound conversions of models from 0.3M to 4M
parameters were measured to change (small models suffer most), and well below what a wrong rope, a
wrong permutation or a wrong template does (whole nats). docs/exporting.md has the measurements.
"""

from trainer_core.export.check import Limits

_EXACT = Limits(mean=0.002, worst=0.05, same=0.97)
_BY_TYPE = {
    "f32": _EXACT,
    "f16": _EXACT,
    "bf16": Limits(mean=0.01, worst=0.25, same=0.95),
    "q8_0": Limits(mean=0.02, worst=0.5, same=0.93),
    "q6_k": Limits(mean=0.05, worst=1.0, same=0.9),
    "q5_k_m": Limits(mean=0.1, worst=2.0, same=0.85),
    "q5_k_s": Limits(mean=0.1, worst=2.0, same=0.85),
    "q5_1": Limits(mean=0.1, worst=2.0, same=0.85),
    "q5_0": Limits(mean=0.15, worst=2.0, same=0.85),
    "q4_k_m": Limits(mean=0.25, worst=3.0, same=0.75),
    "q4_k_s": Limits(mean=0.3, worst=3.0, same=0.75),
    "q4_1": Limits(mean=0.35, worst=3.0, same=0.75),
    "q4_0": Limits(mean=0.35, worst=3.0, same=0.75),
    "int4": Limits(mean=0.35, worst=3.0, same=0.75),
    "mxfp4": Limits(mean=0.5, worst=4.0, same=0.7),
    "q3_k_l": Limits(mean=0.5, worst=4.0, same=0.7),
    "q3_k_m": Limits(mean=0.6, worst=4.0, same=0.65),
    "q3_k_s": Limits(mean=0.8, worst=5.0, same=0.6),
    "q2_k": Limits(mean=1.0, worst=6.0, same=0.5),
    # Ternary weights: for models that were trained with them.
    "tq1_0": Limits(mean=0.25, worst=3.0, same=0.75),
    "tq2_0": Limits(mean=0.25, worst=3.0, same=0.75),
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
