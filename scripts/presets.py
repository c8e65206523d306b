"""What the shipped presets say that follows from their models' sizes: memory, speed, the tables.

python scripts/presets.py        # writes it into configs/, after an estimate or a preset changed
"""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from trainer_core.config.presets import Preset, load_preset
from trainer_core.planning.fitting import usable
from trainer_core.planning.memory import MemorySettings, estimate
from trainer_core.planning.shape import ModelShape, model_shape

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
GB = 1 << 30  # as cards count
CARDS = (8, 12, 16, 24, 48, 80)
# LoRA at rank 8 of Llama-2-7B on an A100 with Unsloth, in LLaMA-Factory's comparison, tokens a
# second; its parameters without the embedding, which is looked up and not multiplied.
PUBLISHED, PUBLISHED_PARAMETERS = 4007, 6_607_343_616
SMALL = 2e9  # parameters below which a model does not keep such a GPU busy


def presets(kind: Literal["models", "recipes"]) -> list[Preset]:
    """The shipped presets of a kind, small models of a family before large ones."""
    names = [path.stem for path in (CONFIGS / kind).glob("*.yaml")]
    return [load_preset(name) for name in sorted(names, key=_by_numbers)]


def shape_of(preset: Preset) -> ModelShape:
    """The sizes that a model's preset states."""
    shape = model_shape(preset.facts)
    if shape is None:
        raise ValueError(f"the sizes of {preset.name} are not understood")
    return replace(shape, other_parameters=preset.facts.get("other_parameters", 0))


def memory(preset: Preset, quantization: Literal["4bit", "none"]) -> float:
    """GB that training takes at its smallest: 2,048 tokens, one row at a time, with Unsloth."""
    settings = MemorySettings(
        method="lora",
        rank=16,
        targets="all-linear",
        dtype="bfloat16",
        quantization=quantization,
        checkpointing="unsloth",
        optimizer="adamw_8bit",
        batch_size=1,
        tokens=2048,
        loss="chunked",
        attention="sdpa",
        device="cuda",
    )
    return estimate(shape_of(preset), settings).total / GB


def card(needed: float) -> int | None:
    """The smallest common card, in GB, that holds as much with the headroom that planning keeps."""
    return next((size for size in CARDS if needed * GB <= usable(size * GB)), None)


def speed(preset: Preset) -> float:
    """Tokens a second on an A100, from a published figure and the parameters multiplied."""
    facts = preset.facts
    shape = shape_of(preset)
    parameters = shape.parameters - shape.other_parameters
    if not facts["tie_word_embeddings"]:
        parameters -= facts["vocab_size"] * facts["hidden_size"]
    return float(PUBLISHED * PUBLISHED_PARAMETERS / parameters)


def memory_sentence(preset: Preset) -> str:
    """What a preset says of memory."""
    parts = []
    for name, quantization in (("QLoRA", "4bit"), ("16-bit LoRA", "none")):
        needed = memory(preset, quantization)  # type: ignore[arg-type]
        parts.append(f"{name} {needed:.1f} GB ({_card_words(card(needed))})")
    return f"{', '.join(parts)}: rank 16, one row of 2,048 tokens, Unsloth."


def speed_sentence(preset: Preset) -> str:
    """What a preset says of speed."""
    found = speed(preset)
    words = "At most" if shape_of(preset).parameters < SMALL else "About"
    rounded = int(float(f"{found:.2g}"))
    return (
        f"{words} {rounded:,} tokens a second on an A100: a published {PUBLISHED:,} "
        "(LoRA, 7B, Unsloth) scaled by size."
    )


def models_table() -> str:
    """The models as a Markdown table, from what their files say."""
    rows = [
        (
            f"`{preset.name}`",
            f"{shape_of(preset).parameters / 1e9:.1f}B",
            *re.findall(r"GB \((?:an? )?(.*?)(?: card)?\)", preset.about["memory"]),
            f"{preset.facts['max_position_embeddings']:,}",
            re.split(r"[:;]|\.$", preset.about["licence"])[0],
            f"{preset.base}",
        )
        for preset in presets("models")
    ]
    head = ("preset", "size", "QLoRA", "16-bit LoRA", "context", "licence", "repository")
    return _table([head, *rows])


def recipes_table() -> str:
    """The recipes as a Markdown table, from what their files say."""
    rows = [
        (f"`{preset.name}`", preset.about["for"], preset.about["with"])
        for preset in presets("recipes")
    ]
    return _table([("recipe", "for", "with"), *rows])


def main() -> None:
    """Write the sentences into the models' files and the tables into the README."""
    for preset in presets("models"):
        path = CONFIGS / "models" / f"{preset.name}.yaml"
        text = path.read_text(encoding="utf-8")
        for name, said in (
            ("memory", memory_sentence(preset)),
            ("speed", speed_sentence(preset)),
        ):
            text = re.sub(rf"(?m)^  {name}:.*\n(?:    .*\n)*", _entry(name, said), text, count=1)
        path.write_text(text, encoding="utf-8")
    readme = CONFIGS / "README.md"
    text = readme.read_text(encoding="utf-8")
    for first, table in (("preset", models_table()), ("recipe", recipes_table())):
        text = re.sub(rf"(?m)^\| {first} \|.*\n(?:\|.*\n)*", table, text, count=1)
    readme.write_text(text, encoding="utf-8")


def _by_numbers(name: str) -> list[tuple[str, float]]:
    """gemma-3-4b before gemma-3-12b."""
    parts = re.findall(r"([^\d]*)(\d+(?:\.\d+)?)?", name)
    return [(word, float(number or 0)) for word, number in parts]


def _card_words(size: int | None) -> str:
    if size is None:
        return f"more than one {CARDS[-1]} GB card"
    return f"{'an' if size in (8, 80) else 'a'} {size} GB card"


def _entry(name: str, said: str) -> str:
    folded = textwrap.fill(said, 98, initial_indent="    ", subsequent_indent="    ")
    return f"  {name}: >-\n{folded}\n"


def _table(rows: Iterable[tuple[Any, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * lines[0].count(" | ") + "---|")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
