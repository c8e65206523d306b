"""What packing buys on a CPU: tokens a second against padded batches, at equal tokens a step.

    python benchmarks/packing.py GSM8K_JSONL [--length 2048] [--steps 12] [--pairs 3]
                                 [--model FOLDER]

Rows of the file through the model's own tokenizer and template. Both sides train the same LoRA
adapter (forward, backward, AdamW) on batches of about 2,048 tokens: padded, as many random examples
as have that many tokens; packed, rows of LENGTH. Sides are interleaved. Prints the fill rate, the
ratio, and how far packed logits are from separate ones.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
BATCH = 2048  # tokens


def main() -> None:
    """Print each pair and the median."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows")
    parser.add_argument("--model", default=str(ROOT / "configs" / "demo" / "base"))
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()

    import torch

    from trainer_core.config.load import load_config
    from trainer_core.engine import transformers_backend as backend
    from trainer_core.engine.attention import attend_by_example, packing_difference
    from trainer_core.engine.batches import collator, to_dataset
    from trainer_core.tokens.look import look
    from trainer_core.tokens.packing import fill_rate, pack

    settings = [f"model.base={options.model}", f"data.train={options.rows}"]
    length = options.length
    settings += [f"model.max_length={length}", "data.split.fractions=[1.0]"]
    config = load_config(None, settings).config
    prepared = look(config)
    examples = prepared.splits["train"]
    began = time.monotonic()
    bins = pack(examples.lengths, length)
    seconds, filled = time.monotonic() - began, fill_rate(examples.lengths, bins, length)
    print(f"{len(examples):,} examples in {len(bins):,} rows, {filled:.2%} filled, {seconds:.2f} s")
    model = backend.load(Path(options.model), config, torch.float32)
    attend_by_example(model)
    print(f"packed against separate logits: they differ by {packing_difference(model):.1e}")
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-4)
    draw = np.random.default_rng(0)
    padded, packed = to_dataset(examples), to_dataset(examples, bins)
    count = round(BATCH * filled / float(examples.lengths.mean()))

    def padded_batch() -> dict[str, Any]:
        return collator("off", 0)([padded[int(i)] for i in draw.integers(0, len(padded), count)])

    def packed_batch() -> dict[str, Any]:
        return collator("pack", 0)(
            [packed[int(i)] for i in draw.integers(0, len(packed), BATCH // length)]
        )

    def rate(batches: list[dict[str, Any]], tokens: int) -> float:
        start = time.monotonic()
        for batch in batches:
            model(**batch, use_cache=False).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return tokens / (time.monotonic() - start)

    def tokens_of(batches: list[dict[str, Any]]) -> int:
        masks = [batch["attention_mask"] for batch in batches if "attention_mask" in batch]
        if masks:
            return sum(int(mask.sum()) for mask in masks)
        return int(sum(batch["input_ids"].numel() for batch in batches) * filled)

    model.train()
    rate([padded_batch()], 1)
    ratios = []
    for number in range(options.pairs):
        speeds = []
        for make in (padded_batch, packed_batch) if number % 2 else (packed_batch, padded_batch):
            batches = [make() for _ in range(options.steps)]
            speeds.append((make is packed_batch, rate(batches, tokens_of(batches))))
        by_side = dict(speeds)
        ratios.append(by_side[True] / by_side[False])
        padded_rate, packed_rate = by_side[False], by_side[True]
        print(f"padded {padded_rate:,.0f} tokens/s, packed {packed_rate:,.0f}: {ratios[-1]:.2f}x")
    print(
        f"packed: median {statistics.median(ratios):.2f}x ({min(ratios):.2f}x–{max(ratios):.2f}x)"
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
