"""The memory that merging an adapter into a model of 3 GB takes, and its time against a copy's.

    python benchmarks/export/merge_memory.py [--repeats 3] [--folder DIR]

The base is read and the merged model written a few rows at a time; so the peak should lie near what
the libraries alone take, and must not grow by more than the largest tensor, 525 MB. Needs 10 GB in
--folder (the temporary folder if not given), which it leaves as it was.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from big_model import (
    CONFIG,
    HIDDEN,
    VOCABULARY,
    in_a_process,
    make_adapter,
    make_model,
    nobody,
    tell_work,
)

LARGEST = VOCABULARY * HIDDEN * 2


def merge(folder: Path, target: Path) -> None:
    """The adapter merged into the base, as bfloat16."""
    from trainer_core.export.adapter import read_adapter
    from trainer_core.export.merge import MergedWeights
    from trainer_core.export.merged import write_merged
    from trainer_core.export.model import ExportModel
    from trainer_core.export.weights import SafetensorsFolder

    base = folder / "model"

    def work() -> None:
        weights = MergedWeights(SafetensorsFolder(base), read_adapter(folder / "adapter"))
        model = ExportModel("big", weights, CONFIG, base, None)
        write_merged(model, base, target, "bfloat16", nobody)
        sync(target)

    tell_work(work)


def copy(folder: Path, target: Path) -> None:
    """The base, copied."""

    def work() -> None:
        shutil.copytree(folder / "model", target)
        sync(target)

    tell_work(work)


def sync(folder: Path) -> None:
    """Wait until the files are on the disk."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def main() -> None:
    """Both sides in turn; then the medians and the memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("SIDE", "FOLDER", "TARGET"))
    options = parser.parse_args()
    if options.one:
        side, folder, target = options.one
        {"merge": merge, "copy": copy}[side](Path(folder), Path(target))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        compare(Path(scratch), options.repeats)


def compare(folder: Path, repeats: int) -> None:
    """Make base and adapter in `folder`, and measure both sides."""
    size = make_model(folder / "model")
    make_adapter(folder / "adapter", folder / "model")
    print(f"a model of {size / 1e9:.2f} GB in bfloat16, {os.cpu_count()} cores")
    times: dict[str, list[float]] = {"copy": [], "merge": []}
    peak = grown = 0.0
    for repeat in range(1, repeats + 1):
        for side, seconds in times.items():
            target = folder / side
            found = in_a_process(__file__, "--one", side, str(folder), str(target))
            seconds.append(found["seconds"])
            shutil.rmtree(target)
            if side == "merge":
                peak = max(peak, found["peak"])
                grown = max(grown, found["peak"] - found["before"])
            print(f"  {repeat}  {side:6}{found['seconds']:7.2f} s{found['peak'] / 1e6:9.0f} MB")
    ratio = statistics.median(times["merge"]) / statistics.median(times["copy"])
    met = "met" if grown <= LARGEST else "MISSED"
    print(f"time: {ratio:.2f} times the copy's")
    print(f"memory: {peak / 1e6:.0f} MB, of which the work {grown / 1e6:.0f}")
    print(f"  (at most the largest tensor, {LARGEST / 1e6:.0f}: {met})")


if __name__ == "__main__":
    main()
