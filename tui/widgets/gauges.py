"""Gauges: how busy the machine of a run is. A bar, and always the number beside it."""

from rich.text import Text
from textual.widgets import Static

from trainer_core.hardware.gpus import Gpu
from trainer_core.hardware.sample import MachineSample
from trainer_core.text import one_line, size

LABEL = 6
WARNING_SHARE = 0.9


class Gauges(Static):
    """The newest sample of a run's machine."""

    _said = ""

    def show(self, sample: MachineSample | None) -> None:
        """Paint a sample; None before the first one."""
        if sample is None:
            self.update("waiting for the first sample")
            return
        if self.screen.has_class("-short"):
            lines = short_lines(sample)
        else:
            lines = gauge_lines(sample, 12 if self.size.width < 60 else 16)
        text = Text("\n").join(lines)
        if text.plain != self._said:
            self._said = text.plain
            self.update(text)


def gauge_lines(sample: MachineSample, width: int, whose: str = "this run") -> list[Text]:
    """A line for each of CPU, RAM (and how much of it is that of `whose` process), disk, and lines
    for each GPU."""
    ram = f"{size(sample.ram_used)} / {size(sample.ram_total)}"
    disk = f"{size(sample.disk_free or sample.disk_total - sample.disk_used)} free"
    lines = [
        bar("CPU", sample.cpu / 100, f"{sample.cpu:.0f} %", width),
        bar("RAM", sample.ram_used / max(1, sample.ram_total), ram, width),
        Text(f"{'':<{LABEL}} of which {whose} {size(sample.process_ram)}"),
        bar("Disk", sample.disk_used / max(1, sample.disk_total), disk, width),
    ]
    if not sample.gpus:
        lines.append(Text(f"{'GPU':<{LABEL}} {one_line(sample.gpu_note) or 'n/a'}"))
    for gpu in sample.gpus:
        lines += _gpu_lines(gpu, width)
    return lines


def short_lines(sample: MachineSample, whose: str = "run") -> list[Text]:
    """The same in one line, and one for each GPU, where there is no room for bars."""
    ram = f"{size(sample.ram_used)} / {size(sample.ram_total)}"
    first = f"CPU {sample.cpu:.0f} %   RAM {ram} ({whose} {size(sample.process_ram)})"
    if not sample.gpus:
        return [Text(f"{first}   GPU {one_line(sample.gpu_note) or 'n/a'}", no_wrap=True)]
    return [
        Text(first, no_wrap=True),
        *(Text("   ".join(line.plain.strip() for line in _gpu_words(gpu))) for gpu in sample.gpus),
    ]


def _gpu_words(gpu: Gpu) -> list[Text]:
    title, use, memory, rest = _gpu_lines(gpu, 0)
    return [title, use, memory, rest]


def bar(label: str, share: float | None, number: str, width: int) -> Text:
    """`CPU    ████░░░░  52 %`; without a share, only what is known."""
    line = Text(f"{label:<{LABEL}} ", no_wrap=True, overflow="ellipsis")
    if share is None:
        return line.append("n/a")
    filled = min(width, max(0, round(share * width)))
    line.append("█" * filled, "yellow" if share >= WARNING_SHARE else "green")
    line.append("░" * (width - filled), "dim")
    return line.append(f" {number}")


def _gpu_lines(gpu: Gpu, width: int) -> list[Text]:
    memory = power = None
    words = memory_words = "n/a"
    if gpu.memory_used is not None and gpu.memory_total:
        memory = gpu.memory_used / gpu.memory_total
        memory_words = f"{size(gpu.memory_used)} / {size(gpu.memory_total)}"
    if gpu.power is not None:
        limit = f" / {gpu.power_limit:.0f}" if gpu.power_limit else ""
        power = f"{gpu.power:.0f}{limit} W"
    if gpu.utilization is not None:
        words = f"{gpu.utilization:.0f} %"
    heat = f"{gpu.temperature:.0f} °C" if gpu.temperature is not None else "n/a"
    share = gpu.utilization / 100 if gpu.utilization is not None else None
    return [
        Text(f"{'GPU':<{LABEL}} {gpu.index}: {one_line(gpu.name)}"),
        bar("  use", share, words, width),
        bar("  mem", memory, memory_words, width),
        Text(f"  temp {heat}   power {power or 'n/a'}"),
    ]
