"""How much each layer of the merged adapter changed by the last merge: a bar for each."""

import math

from rich.text import Text

from trainer_core.runs.multi_run_events import Merged
from trainer_core.runs.view import RunView
from trainer_core.text import one_line
from tui.widgets.wrapped import wrapped

_BLOCKS = "▁▂▃▄▅▆▇█"
_NUMBERED = 12
_LABEL = 6


def last_merge(view: RunView, arm: str = "") -> Merged | None:
    """The newest merge of an arm that stands."""
    runs = [run for name, run in view.merges if name == arm and (arm or run not in view.undone)]
    return view.merges[arm, max(runs)] if runs else None


def standing_merges(view: RunView) -> list[int]:
    """The runs of the multi-run itself whose merges stand, first run first."""
    return sorted(run for arm, run in view.merges if not arm and run not in view.undone)


def drift_lines(view: RunView, arm: str, width: int) -> list[Text]:
    """What the merge was and which layer changed most, then the bars, as many lines as it takes."""
    merge = last_merge(view, arm)
    if merge is None:
        return []
    plain = merge.merge == "none"
    how = "not merged" if plain else one_line(merge.merge, limit=24)
    words = f"{'after' if plain else 'last merge:'} run {merge.run} ({how})"
    drift = {one_line(name, limit=8): value for name, value in merge.drift.items()}
    drift = {name: value for name, value in drift.items() if math.isfinite(value)}
    if not drift:
        return wrapped(Text(words if plain else f"{words}, which no merge was before"), width)
    most = max(drift, key=lambda name: drift[name])
    title = Text(f"{words}; change of each layer, at most {_percent(drift[most])} ({_layer(most)})")
    if len(drift) * _NUMBERED <= width - _LABEL:
        return [*wrapped(title, width), _numbered(drift, drift[most])]
    return [*wrapped(title, width), *_bars(drift, drift[most], max(1, width - 2 * _LABEL))]


def _numbered(drift: dict[str, float], top: float) -> Text:
    line = Text("layer ", "dim", no_wrap=True, overflow="ellipsis")
    for name, value in drift.items():
        line.append(f"{name} ").append(_block(value, top), "cyan")
        line.append(f"{f' {_percent(value)}':<{_NUMBERED - len(name) - 2}}")
    return line


def _bars(drift: dict[str, float], top: float, room: int) -> list[Text]:
    names, lines = list(drift), []
    # Lines of about the same length, so that the last one is no stub.
    count = math.ceil(len(names) / math.ceil(len(names) / room))
    for first in range(0, len(names), count):
        part = names[first : first + count]
        line = Text(f"{part[0]:>{_LABEL - 1}} ", "dim", no_wrap=True, overflow="crop")
        line.append("".join(_block(drift[name], top) for name in part), "cyan")
        lines.append(line.append(f" {part[-1]}", "dim"))
    return lines


def _block(value: float, top: float) -> str:
    return _BLOCKS[round(max(0.0, value) / top * (len(_BLOCKS) - 1))] if top > 0 else _BLOCKS[0]


def _layer(name: str) -> str:
    return f"layer {name}" if name.isdigit() else name


def _percent(value: float) -> str:
    return f"{value:.0%}" if value >= 0.1 else f"{value:.1%}"
