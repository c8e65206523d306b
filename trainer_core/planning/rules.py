"""The rules behind "auto": each a function of plain facts, giving a value and why.

The numbers come from published comparisons: learning rates and batch sizes from Thinking Machines'
"LoRA Without Regret", the other defaults from Unsloth's guides.
"""

import math
from typing import Any

from trainer_core.planning.facts import DataFacts

RANKS = (16, 256)
LORA_RATE = 5e-4
RATE_POWERS = {"llama": 0.781, "qwen": 0.0775}
UNKNOWN_RATE = 3e-4
LARGE_PARAMETERS, LARGE_RATE = 30e9, 2e-4
FULL_SHARE = 0.1
SHORT_RUN = 100
MILLION = 1_000_000
PACKING_SHARE = 0.7
LENGTH_UNIT = 64
# From here on, rows are more than 98 % full (benchmarks/packing.py).
PACKED_ROW = 2048

Reasoned = tuple[Any, str]


def rank(trained_tokens: int, parameters_per_rank: int) -> Reasoned:
    """The next power of two that gives the adapter a parameter for each trained token of an epoch,
    within RANKS."""
    low, high = RANKS
    wanted = trained_tokens / max(1, parameters_per_rank)
    power = 2 ** math.ceil(math.log2(max(1.0, wanted)))
    value = min(max(power, low), high)
    why = f"{trained_tokens:,} trained tokens, {parameters_per_rank:,} parameters a rank"
    if power < low:
        why += f"; at least {low}"
    elif power > high:
        why += f"; at most {high}"
    return value, why


def epochs(trained_tokens: int) -> Reasoned:
    """More passes over less data."""
    value = 3.0 if trained_tokens < MILLION else 2.0 if trained_tokens < 10 * MILLION else 1.0
    return value, f"{trained_tokens:,} trained tokens in one"


def effective_batch(data: DataFacts, passes: float | None, steps: int | None) -> Reasoned:
    """Examples in a step. Where one row holds several examples, rows in a step."""
    examples = data.examples or data.train
    wanted, why = 16, f"{examples:,} examples"
    if examples < 1_000:
        wanted, why = 8, f"{examples:,} examples, fewer than 1,000"
    elif examples > 50_000:
        wanted, why = 32, f"{examples:,} examples, more than 50,000"
    in_a_row = examples / max(1, data.train)
    if in_a_row > 1.5:
        wanted = max(1, 2 ** round(math.log2(wanted / in_a_row)))
        why += f", about {in_a_row:.0f} in each packed row"
    if steps is None and passes is not None:
        most = _power_below(data.train * passes / SHORT_RUN)
        if most < wanted:
            wanted, why = max(1, most), f"{why}; a larger one leaves fewer than {SHORT_RUN} steps"
    return wanted, why


def learning_rate(
    family: str, hidden: int | None, parameters: int, steps: int, *, full: bool, continued: bool
) -> Reasoned:
    """The peak rate: by width within a family, careful outside of those that were measured."""
    known = next((name for name in RATE_POWERS if family.startswith(name)), None)
    if hidden is None:
        rate, why = UNKNOWN_RATE, "for a model whose width is not known"
    else:
        rate = LORA_RATE * (2000 / hidden) ** RATE_POWERS[known or "llama"]
        why = f"{known or family} of width {hidden:,}"
    if steps < SHORT_RUN:
        rate, why = rate * 1.5, f"{why}; half more, for fewer than {SHORT_RUN} steps"
    if continued:
        rate, why = rate * 0.5, f"{why}; halved, to go on with an adapter"
    if known is None and rate > UNKNOWN_RATE:
        rate, why = UNKNOWN_RATE, f"{why}; at most {UNKNOWN_RATE:g} for an unknown family"
    if parameters >= LARGE_PARAMETERS and rate > LARGE_RATE:
        rate, why = LARGE_RATE, f"{why}; at most {LARGE_RATE:g} from 30B parameters on"
    if full:
        rate, why = rate * FULL_SHARE, f"{why}; a tenth, because all weights are trained"
    return float(f"{rate:.2g}"), why


def max_length(p99: int, longest: int, context: int) -> Reasoned:
    """99 of 100 examples whole, in steps of LENGTH_UNIT tokens."""
    value = min(math.ceil(max(p99, 1) / LENGTH_UNIT) * LENGTH_UNIT, context)
    if value >= longest:
        return value, f"the longest example has {longest:,} tokens"
    if value == context:
        return value, f"the model's context is {context:,} tokens; the longest has {longest:,}"
    return value, f"99 of 100 examples have at most {p99:,} tokens; the longest has {longest:,}"


def packed_length(length: int, context: int, most_tokens: int | None) -> Reasoned | None:
    """Rows long enough to be filled well, where examples are packed; None if they are already."""
    wanted = min(context, PACKED_ROW, most_tokens or PACKED_ROW)
    if wanted <= length:
        return None
    return wanted, f"packed rows of {wanted:,} tokens fill better than of {length:,}"


def packing(mean: float, longest: int) -> Reasoned:
    """Pack where rows of the longest example's length would be padding for the most part."""
    share = mean / max(1, longest)
    why = f"examples are {share:.0%} of the longest on average"
    return ("pack", why) if share < PACKING_SHARE else ("off", why)


def _power_below(value: float) -> int:
    """The largest power of two that is no more; 0 below 1."""
    return 0 if value < 1 else 2 ** math.floor(math.log2(value))
