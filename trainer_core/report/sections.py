"""The sections of a report in Markdown. Each is lines of text, or none where there is nothing to
say."""

import json
import math
import time
from collections.abc import Sequence
from typing import Any

from trainer_core.data.report import DataReport
from trainer_core.history.facts import Artefact
from trainer_core.history.made import exports_of
from trainer_core.history.measured import sampled_peak
from trainer_core.markdown import SHORT, ends, shown, table
from trainer_core.planning.plan import ResolvedRun
from trainer_core.reading import finite
from trainer_core.report.story import Story
from trainer_core.runs.events import Failed, Finished
from trainer_core.runs.multi_run_words import summary_lines
from trainer_core.runs.view import memory_words
from trainer_core.text import duration, size

# What a plot shows, by its name.
_TITLES = {
    "loss": "Loss",
    "learning_rate": "Learning rate",
    "grad_norm": "Gradient norm",
    "accuracy": "Trained tokens guessed right",
    "scores": "Scores of answers to rows of validation",
    "tokens_per_second": "Tokens a second",
    "memory": "Memory",
    "gpu": "GPU",
}
# Whose value it is, the most telling first.
_ORIGINS = ("user", "preset", "auto", "default")


def head(story: Story) -> list[str]:
    """What it is, and how it stands, in a sentence."""
    outcome, view = story.view.outcome, story.view
    place = f"step {view.step:,} of {view.total_steps:,}" if view.total_steps else "the start"
    if isinstance(outcome, Failed):
        said = f"**Failed** at {place}: {_sentences(outcome.message, outcome.hint)}"
    elif isinstance(outcome, Finished):
        why = f": {shown(outcome.message.rstrip('.'))}" if outcome.message else ""
        said = f"**{outcome.outcome.capitalize()}** at {place}{why}."
    else:
        said = f"**{story.state.capitalize()}**, at {place}."
    written = time.strftime("%Y-%m-%d %H:%M:%S")
    return [f"# {shown(story.status.run)}", "", said, "", f"Written {written}."]


def what_ran(story: Story) -> list[str]:
    """Model, data, method, when and on what machine."""
    status, view, found = story.status, story.view, story.provenance
    rows: list[tuple[str, str]] = [("model", status.model), ("data", status.data)]
    if story.resolved is not None:
        rows.append(("trained", _method(story.resolved)))
    rows.append(("started", _when(status.created)))
    if len(story.starts) > 1:
        times = len(story.starts) - 1
        rows.append(("gone on with", f"{times:,} time{'s' if times > 1 else ''}"))
    if view.outcome is not None:
        rows.append(("ended", _when(view.outcome.time)))
    if story.seconds:
        longest = sorted(story.seconds.items(), key=lambda item: -item[1])[:4]
        rows.append(("time", ", ".join(f"{name} {duration(spent)}" for name, spent in longest)))
    rows.append(("steps", f"{view.step:,} of {view.total_steps:,}, {view.epoch:.2f} epochs"))
    if view.tokens:
        speed = view.tokens_per_second
        last = f", {speed:,.0f} a second at last" if speed else ""
        rows.append(("tokens", f"{view.tokens:,}{last}"))
    if found is not None:
        machine = found.machine
        rows.append(("machine", f"{found.host}, {found.system}"))
        rows.append(("processor", f"{found.processor}, {machine.cores} cores"))
        gpus = ", ".join(f"{gpu.name} ({size(gpu.memory_total or 0)})" for gpu in machine.gpus)
        rows.append(("GPU", gpus or "none"))
        rows.append(("RAM", size(machine.ram)))
    return ["## What ran", "", table(("", ""), rows)]


def results(story: Story) -> list[str]:
    """Losses before and after, and the memory that was planned and taken."""
    ended = story.view.outcome
    rows: list[tuple[str, str]] = []
    summary = ended.summary if isinstance(ended, Finished) else {}
    for name, key in (("loss at the first step", "first_loss"), ("at the last", "last_loss")):
        if (value := summary.get(key)) is not None:
            rows.append((name, f"{value:.4f}"))
    best = min(story.evals, key=lambda event: event.loss, default=None)
    if best is not None:
        surprise = f", perplexity {math.exp(min(best.loss, 700)):,.2f}"
        rows.append(("best validation loss", f"{best.loss:.4f} at step {best.step:,}{surprise}"))
        guessed = best.values.get("eval_mean_token_accuracy")
        if guessed is not None:
            rows.append(("validation tokens guessed there", f"{guessed:.1%}"))
    measured = memory_words(ended) if isinstance(ended, Finished) else ""
    if words := measured or _sampled_memory(story):
        rows.append(("memory", words))
    if isinstance(ended, Finished) and ended.saved:
        rows.append(("saved in", ended.saved))
    if not rows:
        return []
    return ["## Results", "", table(("", ""), rows), *_memory_parts(story)]


def _sampled_memory(story: Story) -> str:
    """Of a run that did not measure it itself: it broke off, or goes on."""
    plan = story.view.plan.memory if story.view.plan is not None else {}
    total = finite(plan.get("total"))
    planned = size(total) if total is not None else ""
    try:
        peak = sampled_peak(story.folder, str(plan.get("device", "")))
    except OSError:
        peak = None
    if peak is None:
        return f"{planned} planned" if planned else ""
    beside = f"; the plan said {planned}" if planned else ""
    return f"{size(peak)} at most in the samples of the machine{beside}"


def _memory_parts(story: Story) -> list[str]:
    plan = story.resolved.memory if story.resolved is not None else None
    if plan is None:
        return []
    parts = sorted(plan.parts.items(), key=lambda item: -item[1])
    said = ", ".join(f"{name} {size(taken)}" for name, taken in parts if taken)
    return ["", f"Planned on {shown(plan.device)} (of {size(plan.budget)}): {shown(said)}."]


def warnings(story: Story) -> list[str]:
    """What the user was warned of, each once."""
    said = dict.fromkeys(_sentences(one.message, one.hint) for one in story.notices)
    lines = ends([f"- {line}" for line in said], lambda left_out: f"- {left_out}")
    return ["## Warnings", "", *lines] if lines else []


def _sentences(message: str, hint: str) -> str:
    return f"{shown(message.rstrip('.'))}. {shown(hint)}".strip()


def data(story: Story) -> list[str]:
    """The sources, the splits, and what was wrong with rows."""
    if story.provenance is None:
        return []
    report = story.provenance.data
    sources = [(one.name, f"{one.rows:,}", one.format, one.why) for one in report.sources]
    lines = ["## Data", "", table(("source", "rows", "format", "why"), sources), ""]
    splits = [
        (
            one.name,
            f"{one.rows:,}",
            f"{one.examples:,}",
            f"{one.tokens:,}",
            f"{one.trained_tokens:,}",
            f"{one.lengths.p50:,} / {one.lengths.p95:,} / {one.lengths.max:,}",
            f"{one.too_long:,}",
        )
        for one in report.splits
    ]
    heads = ("split", "rows", "examples", "tokens", "trained", "length 50 % / 95 % / most",
             "too long")  # fmt: skip
    return [*lines, table(heads, splits), *_problems(report)]


def _problems(report: DataReport) -> list[str]:
    if not report.counts:
        return ["", "No row had a problem."]
    rows = []
    for kind, count in report.counts.items():
        places = [found.where for found in report.problems if found.kind == kind][:3]
        rows.append((kind, f"{count:,}", report.fates.get(kind, ""), ", ".join(places)))
    return ["", table(("problem", "rows", "became", "for instance"), rows)]


def curves(plots: Sequence[str]) -> list[str]:
    """The plots that were drawn."""
    lines = [f"![{_TITLES[name]}](plots/{name}.png)" for name in plots]
    return ["## Curves", "", "\n\n".join(lines)] if lines else []


def unread(story: Story) -> list[str]:
    """What is there and cannot be read."""
    lines = [f"- {shown(words)}" for words in dict.fromkeys(story.unread)]
    return ["## Not read", "", *lines] if lines else []


def multi_run(story: Story) -> list[str]:
    """The runs of a multi-run, and what was forgotten."""
    ours = [event for event in story.view.runs.values() if not event.arm]
    if not ours:
        return []
    rows = []
    for event in ours:
        merged = story.view.merges.get(("", event.run))
        fate = "undone" if event.run in story.view.undone else merged.merge if merged else ""
        replayed = f" ({event.replayed:,} replayed)" if event.replayed else ""
        rows.append(
            (str(event.run), event.name, f"{event.steps:,}", f"{event.rows:,}{replayed}",
             f"{event.learning_rate:.2e}", fate)
        )  # fmt: skip
    lines = ["## Runs", "", table(("run", "name", "steps", "rows", "rate", "merge"), rows)]
    if summary := summary_lines(story.view):
        lines += ["", "```", *summary, "```"]
    return lines


def checkpoints(story: Story) -> list[str]:
    """Those that were written, and whether they are still there."""
    found = {event.path: event for event in story.checkpoints}
    rows = [
        (f"{one.step:,}", one.reason, path if (story.folder.path / path).is_dir() else "removed")
        for path, one in found.items()
    ]
    rows = ends(rows, lambda left_out: ("", left_out, ""))
    return ["## Checkpoints", "", table(("step", "why", "where"), rows)] if rows else []


def exports(story: Story) -> list[str]:
    """What was made of it, by the run itself and later, and how each check went."""
    rows = [
        (f"{job.place}/{made.path}", size(made.size) if made.size is not None else "removed",
         _checked(made))
        for job in exports_of(story.folder, story.unread)
        for made in job.artefacts
    ]  # fmt: skip
    return ["## Exports", "", table(("path", "size", "check"), rows)] if rows else []


def _checked(made: Artefact) -> str:
    if made.passed is None:
        return "not checked"
    if made.passed:
        return f"passed in {made.runtime}"
    return f"FAILED in {made.runtime}: {made.differs}"


def settings(story: Story) -> list[str]:
    """Each setting with its value, whose it is, and why."""
    run = story.resolved
    if run is None:
        return []
    values = run.values()
    order = sorted(run.origins, key=lambda name: _ORIGINS.index(run.origins[name].origin))
    rows = [
        (name, _value(values.get(name)),
         run.origins[name].origin, run.origins[name].why)
        for name in order
    ]  # fmt: skip
    return ["## Settings", "", table(("setting", "value", "from", "why"), rows, SHORT)]


def _value(value: Any) -> str:
    """A setting as it would stand in YAML, without what is not set within it."""
    if value is None:
        return "not set"
    if isinstance(value, str):
        return value
    return json.dumps(_without_nothing(value), ensure_ascii=False, default=str)


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_nothing(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one not in (None, {}, [])}
    return [_without_nothing(one) for one in value] if isinstance(value, list) else value


def _method(run: ResolvedRun) -> str:
    config = run.config
    what = f"LoRA, rank {config.lora.rank}" if config.training.method == "lora" else "all weights"
    model = config.model
    weights = model.dtype if model.quantization == "none" else model.quantization
    return f"{what}; {weights}, at most {model.max_length} tokens, by {model.backend}"


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
