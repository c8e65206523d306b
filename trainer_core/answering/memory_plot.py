"""Memory and speed of a job over time, as a picture."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trainer_core.files import write_atomically


def draw_memory(lines: Sequence[dict[str, float]], path: Path) -> None:
    """Draw what stands in memory.jsonl: RAM and GPU memory in GiB above, tokens a second below,
    both against seconds."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    FigureCanvasAgg(figure)  # no screen is needed
    memory, speed = figure.subplots(2, 1, sharex=True)
    seconds = [line["seconds"] for line in lines]
    mark = "o" if len(lines) < 30 else ""
    memory.plot(seconds, [line["ram_gib"] for line in lines], color="tab:blue", marker=mark)
    labels = ["RAM"]
    if all("gpu_gib" in line for line in lines):
        memory.plot(seconds, [line["gpu_gib"] for line in lines], color="tab:red", marker=mark)
        labels.append("GPU")
    memory.legend(labels, loc="lower right")
    memory.set_ylabel("memory, GiB")
    speed.plot(
        seconds, [line["tokens_per_second"] for line in lines], color="tab:green", marker=mark
    )
    speed.set_ylabel("tokens a second")
    speed.set_xlabel("seconds")
    for axes in (memory, speed):
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(path, picture.getvalue())
