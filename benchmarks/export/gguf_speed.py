"""A model of 3 GB as GGUF in F16, against copying its file: both end with the bytes on the disk.

    python benchmarks/export/gguf_speed.py [--repeats 3] [--folder DIR]

Each side is a process of its own; they take turns. The time is that of the work alone, without the
imports; the memory is all that the process ever had. The targets: 1.3 times the time of the copy,
and 1 GB. Needs 10 GB in --folder (the temporary folder if not given), which it leaves as it was.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from big_model import CONFIG, in_a_process, make_model, nobody, tell_work

MOST_TIMES, MOST_MEMORY = 1.3, 10**9


def convert(source: Path, target: Path) -> None:
    """The model as GGUF in F16."""
    from trainer_core.export.gguf.write import write_gguf
    from trainer_core.export.model import ExportModel
    from trainer_core.export.weights import SafetensorsFolder

    def work() -> None:
        model = ExportModel("big", SafetensorsFolder(source), CONFIG, source, None)
        write_gguf(model, target, "f16", nobody)

    tell_work(work)


def copy(source: Path, target: Path) -> None:
    """The file of weights, copied."""

    def work() -> None:
        shutil.copyfile(source / "model.safetensors", target)
        with target.open("rb") as file:
            os.fsync(file.fileno())

    tell_work(work)


def main() -> None:
    """Both sides in turn; then the medians, and whether the targets are met."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", nargs=3, metavar=("SIDE", "SOURCE", "TARGET"))
    options = parser.parse_args()
    if options.one:
        side, source, target = options.one
        {"convert": convert, "copy": copy}[side](Path(source), Path(target))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        compare(Path(scratch), options.repeats)


def compare(folder: Path, repeats: int) -> None:
    """Make the model in `folder`, and measure both sides."""
    size = make_model(folder / "model")
    print(f"a model of {size / 1e9:.2f} GB in bfloat16, {os.cpu_count()} cores")
    times: dict[str, list[float]] = {"copy": [], "convert": []}
    peak = 0.0
    for repeat in range(1, repeats + 1):
        for side, seconds in times.items():
            target = folder / side
            found = in_a_process(__file__, "--one", side, str(folder / "model"), str(target))
            seconds.append(found["seconds"])
            target.unlink()
            if side == "convert":
                peak = max(peak, found["peak"])
            print(f"  {repeat}  {side:8}{found['seconds']:7.2f} s{found['peak'] / 1e6:9.0f} MB")
    ratio = statistics.median(times["convert"]) / statistics.median(times["copy"])
    print(
        f"time: {ratio:.2f} times the copy's (at most {MOST_TIMES}: {verdict(ratio, MOST_TIMES)})"
    )
    print(f"memory: {peak / 1e6:.0f} MB (at most 1000: {verdict(peak, MOST_MEMORY)})")


def verdict(found: float, most: float) -> str:
    """Whether a target is met."""
    return "met" if found <= most else "MISSED"


if __name__ == "__main__":
    main()
