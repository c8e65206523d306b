"""What the Export screen says of what can be written, in words and sums."""

import time
from collections.abc import Iterable, Mapping

from rich.text import Text

from trainer_core.config.export_section import WRITTEN_HERE, ExportRequest
from trainer_core.planning.export_sizes import SizeEstimate
from trainer_core.runs.events import Failed
from trainer_core.runs.folder import RunFolder
from trainer_core.runs.registry import RunEntry
from trainer_core.runs.trained import TrainedPlace
from trainer_core.text import clean, duration, one_line, size
from tui.export_session import ExportSession
from tui.export_view import ExportView
from tui.screens.choose import Choice
from tui.widgets.run_row import age
from tui.widgets.run_state import state_text

FORMATS = {
    "adapter": "a PEFT folder, for Python",
    "adapter-gguf": "the adapter for llama.cpp, on its base",
    "merged": "whole weights, for Python and servers",
    "onnx": "for onnxruntime, with a cache",
}
TYPES = {
    "q4_k_m": "4 bits: small, what most people run",
    "q5_k_m": "5 bits: between 4 and 6",
    "q6_k": "6 bits: nearly as good as 8",
    "q8_0": "8 bits: hardly to be told from 16",
    "f16": "16 bits",
    "bf16": "16 bits, as most models are trained",
    "f32": "32 bits, nothing rounded",
    "q4_0": "4 bits, the plain way",
    "q4_1": "4 bits and an offset, the plain way",
    "q5_0": "5 bits, the plain way",
    "q5_1": "5 bits and an offset, the plain way",
    "tq1_0": "under 2 bits: for ternary models alone",
    "tq2_0": "2 bits: for ternary models alone",
    "mxfp4": "4 bits, in groups with one exponent",
    "q2_k": "2 bits: where there is no room at all",
    "q3_k_s": "3 bits, the smallest",
    "q3_k_m": "3 bits",
    "q3_k_l": "3 bits, the largest",
    "q4_k_s": "4 bits, a little smaller than q4_k_m",
    "q5_k_s": "5 bits, a little smaller than q5_k_m",
}
# Listed at once; the others where they are wanted.
USUAL = ("q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "bf16")
# What a setting is that is not set.
UNSET = {
    "name": "the run's name",
    "dtype": "16 bits, as the base",
    "base": "found by its name",
    "ollama": "not registered",
    "ollama_base": "to be named",
    "ollama_host": "OLLAMA_HOST, else this machine",
    "push": "not uploaded",
}
# What the config's section does not have, in the words of its descriptions.
OF_THE_REQUEST = {
    "name": "What the files are called; the run's name if not given.",
    "ollama_base": "The model in Ollama on which the adapter stands.",
    "ollama_host": "Where Ollama listens; OLLAMA_HOST if not given, else this machine.",
    "force": "Whether a model that Ollama has under this name is replaced.",
    "ollama_remote": "Whether the model may be sent to an Ollama on another machine.",
}


def place_words(place: TrainedPlace) -> str:
    """`step 160, validation loss 0.8123`."""
    parts = [f"step {place.step:,}"] if place.step is not None else []
    parts += [f"validation loss {place.loss:.4f}"] if place.loss is not None else []
    return ", ".join(parts)


def asked_words(asked: ExportRequest | None) -> str:
    """`gguf q8_0, merged of best`."""
    if asked is None:
        return ""
    kinds = " ".join(asked.quantizations)
    formats = [f"gguf {kinds}" if name == "gguf" else name for name in asked.formats]
    return one_line(", ".join(formats) + (f" of {asked.checkpoint}" if asked.checkpoint else ""))


def sum_text(session: ExportSession) -> Text:
    """What all of it takes, and what is free: a line, and why it cannot start, if it cannot."""
    text = Text()
    found, problem = session.found, session.problem
    if session.estimates:
        text.append(_sum_words(session.estimates), "bold")
        text.append(f", about {duration(session.seconds)}")
    if found is not None and found.free is not None:
        text.append("; " if text else "").append(f"{size(found.free)} free")
    if problem:
        text.append("\n" if text else "").append(f"✖ {one_line(problem)}", "red")
    elif session.estimates:
        text.append("\n✔ there is room; r starts it" if session.room else "\nr starts it")
    return text


def format_details(
    session: ExportSession, what: str, about: str, why_not: str, one: SizeEstimate | None
) -> Text:
    text = Text().append(what, "bold").append(f"  {about}\n")
    if why_not:
        text.append(f"✖ {why_not}\n", "red")
        if session.check_is_in_the_way(what):
            text.append("Without its check it could be written (check: no). ")
        way = session.way_out(what)
        return text.append(f"This adds it (y copies):\n$ {way}") if way else text
    name, _, kind = what.partition(" ")
    if kind:
        text.append(
            "Written by backprop itself. " if kind in WRITTEN_HERE else "Quantised by llama.cpp. "
        )
    if one is not None and one.temporary:
        made = "merged weights" if name == "onnx" else "a GGUF of 16 bits"
        text.append(f"It is made from {made}: {size(one.temporary)} more, for a while. ")
    if kind or name == "onnx":
        text.append("Runs anywhere without Python's training libraries. " if kind else "")
    if name == "adapter":
        text.append("Loaded on top of its base by PEFT, and the smallest. ")
    elif name == "adapter-gguf":
        text.append("llama.cpp loads it with --lora, beside the base as GGUF. ")
    elif name == "merged" and session.found is not None and session.found.base_is_quantized:
        text.append("The run trained on a quantised base: name one of 16 bits, or dequantize. ")
    if session.value("check"):
        text.append("It is loaded afterwards and compared with the trained model.")
    else:
        text.append("It will not be checked.", "yellow")
    return text


def _sum_words(estimates: list[SizeEstimate]) -> str:
    unknown = [one.what for one in estimates if one.bytes is None]
    total = sum(one.bytes or 0 for one in estimates)
    words = f"writes about {size(total)}" if total else ""
    if unknown:
        words += f"{', and ' if words else 'writes '}{', '.join(unknown)} of a size not known"
    beside = sum(one.temporary for one in estimates)
    return words + (f" (for a while {size(beside)} more)" if beside else "")


def form_head(session: ExportSession) -> Text:
    """Which run, and which of its weights."""
    found, head = session.found, Text(no_wrap=True, overflow="ellipsis")
    if found is None:
        return head.append("No run to export. Start one: backprop demo")
    head.append(f"{one_line(found.entry.id)}  ", "bold").append_text(state_text(found.entry.state))
    if found.living is not None:
        head.append(f"  ▶ exports/{found.living.number} goes on: v shows it", "green")
    elif found.place is not None:
        head.append(f"  {found.place.name}", "bold").append(f"  {place_words(found.place)}")
    return head


def notes_text(session: ExportSession, problem: str) -> Text:
    """What went wrong; else what is not known of the run."""
    if problem:
        return Text(f"✖ {problem}", "red")
    notes = session.found.notes if session.found is not None else ()
    return Text("\n").join(Text(f"! {one_line(note)}", "yellow") for note in notes)


def job_head(folder: RunFolder, state: str, trouble: str, asked: ExportRequest | None) -> Text:
    """Which export, how it stands, what was asked."""
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{one_line(folder.path.parent.parent.name)}/exports/{folder.path.name}  ", "bold")
    head.append_text(state_text(state))
    if trouble:
        return head.append(f"  ! {one_line(trouble)}", "red")
    return head.append(f"  {asked_words(asked)}")


def ending_text(view: ExportView, state: str, folder: RunFolder) -> Text:
    """How an export ended, and what to do; nothing while it goes on."""
    outcome = view.outcome
    if isinstance(outcome, Failed):
        text = Text().append("✖ failed: ", "bold red")
        return text.append(clean(f"{outcome.message.rstrip('.')}. {outcome.hint}".strip()))
    if outcome is None:
        died = state == "died"
        log = one_line(str(folder.worker_log))
        return Text(f"✖ died without a word; its output is in {log}" if died else "", "red")
    symbol = "✔" if outcome.outcome == "finished" else "■"
    text = Text().append(f"{symbol} {outcome.outcome} after {duration(outcome.elapsed)}", "bold")
    text.append(f": {clean(outcome.message)}" if outcome.message else "")
    return text.append(f"  Saved: {clean(outcome.saved)}" if outcome.saved else "")


def run_choices(entries: Mapping[str, RunEntry]) -> list[Choice]:
    """Each run with how it stands."""
    choices = []
    for key, entry in entries.items():
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{one_line(entry.id, limit=44):<44} ", "bold")
        line.append_text(state_text(entry.state))
        line.append(f"  {age(time.time() - entry.status.created)}", "dim")
        details = Text(f"{one_line(entry.status.model)}\n{one_line(str(entry.folder.path))}")
        if entry.status.eval_loss is not None:
            details.append(f"\nvalidation loss {entry.status.eval_loss:.4f}")
        choices.append(Choice(key, line, details))
    return choices


def place_choices(places: Iterable[TrainedPlace]) -> list[Choice]:
    """Each of a run's weights with its step and loss."""
    lines = (Text(f"{one.name:<12} {place_words(one)}", no_wrap=True) for one in places)
    return [Choice(one.name, line) for one, line in zip(places, lines, strict=True)]
