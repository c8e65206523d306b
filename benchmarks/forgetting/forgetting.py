"""Does SLAO forget less than plain training? Three domains learnt one after the other, by each
method, with several seeds: average, backward transfer and forgetting on rows held out of each.

    python -m benchmarks.forgetting.forgetting [--model demo|stories] [--seeds 3] [--steps 60]
        [--rate 1e-3] [--rank 8] [--shards 5] [--output results.json]

All methods see the same rows for as many steps; "joint" sees all of them mixed, the bound above.
What it showed is in README.md beside it.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.forgetting.domains import ROOT, write_domains
from trainer_core import Trainer
from trainer_core.runs.multi_run_events import Forgetting, Spread, Summary
from trainer_core.tokens.shards import GENERAL

MODELS = {
    "demo": ROOT / "configs" / "demo" / "base",
    "stories": ROOT.parent / "shared" / "models" / "stories260K",
}
# The first also trains the baselines.
METHODS: dict[str, dict[str, Any]] = {
    "SLAO": {"multi_run.merge": "slao", "multi_run.compare": ["sequential", "joint"]},
    "SLAO without QR": {"multi_run.merge": "slao-without-qr"},
    "SLAO, last-merge init": {"multi_run.merge": "slao-from-merged"},
    "replay 20 %": {"multi_run.merge": "none", "multi_run.replay": 0.2},
    "SLAO + replay 20 %": {"multi_run.merge": "slao", "multi_run.replay": 0.2},
}
ORDER = ["sequential", *METHODS, "joint"]


def main() -> None:
    """Train every method with every seed, and print the table."""
    options = _options()
    results: dict[str, list[Forgetting]] = {name: [] for name in ORDER}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["XDG_CACHE_HOME"] = os.environ["XDG_STATE_HOME"] = str(folder / "own")
        data = _data(folder, options)
        for seed in range(options.seeds):
            for method, settings in METHODS.items():
                for arm, event in _train(folder, data, seed, settings, options).items():
                    results[arm or method].append(event)
                print(f"seed {seed}: {method}", file=sys.stderr, flush=True)
    settings = {name: value for name, value in vars(options).items() if name != "output"}
    print(_table(results, settings))
    if options.output:
        dumped = {name: [e.model_dump() for e in found] for name, found in results.items()}
        options.output.write_text(json.dumps({"options": settings, "results": dumped}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=list(MODELS), default="demo")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--shards", type=int, default=0, help="Shards of all rows, not domains.")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def _data(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    files = write_domains(folder)
    cut = {"multi_run.runs": options.shards} if options.shards else {"multi_run.by_source": True}
    return {"data.train": [str(file) for file in files], **cut}


def _train(
    folder: Path,
    data: dict[str, Any],
    seed: int,
    method: dict[str, Any],
    options: argparse.Namespace,
) -> dict[str, Forgetting]:
    """The last Forgetting of the run itself ("") and of each baseline."""
    last: dict[str, Forgetting] = {}

    def tell(event: object) -> None:
        if isinstance(event, Forgetting):
            last[event.arm] = event

    settings = {
        "model.base": str(MODELS[options.model]),
        "model.backend": "transformers",
        "model.max_length": 256,
        "data.too_long": "truncate",
        "lora.rank": options.rank,
        "lora.alpha": 2 * options.rank,
        "training.steps": options.steps,
        "training.batch_size": 8,
        "training.gradient_accumulation": 1,
        "training.packing": "off",
        "training.learning_rate": options.rate,
        "training.eval_steps": 10_000,
        "training.save_steps": 10_000,
        "training.seed": seed,
        **data,
        **method,
    }
    place = folder / f"run-{len(list(folder.iterdir()))}"
    Trainer(overrides=settings).train(output=place, on_event=tell)
    return last


def _table(results: dict[str, list[Forgetting]], options: dict[str, Any]) -> str:
    """Mean and deviation over the seeds. The newest domain's loss says what a method pays for what
    it remembers; a run's own adapter before it is merged, that it is the merge which remembers."""
    head = [
        "method", "average loss", "newest domain's", "backward", "forgotten", "95 % of seed 0",
        "forgotten unmerged", "average accuracy", "backward", "forgotten", "95 % of seed 0",
    ]  # fmt: skip
    lines = [f"{options}", "", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, events in results.items():
        loss = [event.summaries["merged"]["loss"] for event in events]
        accuracy = [event.summaries["merged"]["accuracy"] for event in events]
        tuned = [event.summaries["fine_tuned"]["loss"] for event in events]
        newest = len(events[0].slices) - 1 - (events[0].slices[-1] == GENERAL)
        cells = [
            name,
            _mean([found.average.value for found in loss]),
            _mean([event.merged[newest].loss for event in events]),
            *_change(loss),
            _of_all([found.forgetting for found in tuned]),
            _mean([found.average.value for found in accuracy]),
            *_change(accuracy),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _change(found: list[Summary]) -> list[str]:
    """Backward transfer, forgetting, and the interval of the latter with the first seed."""
    first = found[0].forgetting
    return [
        _of_all([each.backward for each in found]),
        _of_all([each.forgetting for each in found]),
        f"{first.low:.3f} to {first.high:.3f}" if first else "–",
    ]


def _of_all(spreads: list[Spread | None]) -> str:
    values = [spread.value for spread in spreads if spread]
    return _mean(values) if values else "–"


def _mean(values: list[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {spread:.3f}"


if __name__ == "__main__":
    main()
