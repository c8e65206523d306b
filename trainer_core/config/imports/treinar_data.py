"""treinar_unsloth: files of rows, their encryption, and shares of splits."""

import difflib
import re
from pathlib import Path
from typing import Any

from trainer_core.config.data_section import SPLIT_WORDS, SPLITS
from trainer_core.config.imports.reading import Reading, Rule, expanded
from trainer_core.config.imports.rules import given, settled
from trainer_core.config.imports.values import blank, names, share, text
from trainer_core.config.yaml_file import Keys

KEY_AT = ("misc", "env_chave_criptografia")
EVAL_COLUMNS = ("eval_prompt_col", "train_prompt_col")
_PLAIN = (".txt", ".md")  # files without columns


def under(root: str, path: str) -> str:
    """A path that starts from `root`, if it is relative."""
    return str(Path(root) / path) if root and not expanded(path).is_absolute() else path


def split_file(ours: str, columns: tuple[str, ...], root: str = "") -> Rule:
    """A data file of one split; the first of `columns` that is given beside it names the column
    with its conversations."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        path = under(root, reading.coerced(keys, value, text))
        reading.put(f"{ours}.0.path", path, keys)
        beside = ((*keys[:-1], name) for name in columns)
        column_at = next((at for at in beside if not blank(reading.value(*at))), keys)
        name = "messages"
        if column_at != keys:
            name = reading.coerced(column_at, reading.value(*column_at), text)
        if path.endswith(_PLAIN):
            encrypt(reading, ours, None)
            return
        encrypt(reading, ours, [name])
        if name in ("text", "texto"):
            reading.put(f"{ours}.0.columns", {"text": name}, column_at)
        elif name != "messages":
            reading.put(f"{ours}.0.columns", {"messages": name}, column_at)
            reading.note(
                column_at,
                f"is read as a column of messages; of text, set {ours}.0.columns to {{text: "
                f"{name}}}",
            )

    return rule


def column(file: str) -> Rule:
    """A column is read with the file that has it; other keys than these need none."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        path = reading.value(*keys[:-1], file)
        if value == "messages" or blank(path) or str(path).endswith(_PLAIN):
            settled(reading, keys, value)

    return rule


def encrypt(reading: Reading, ours: str, columns: list[str] | None) -> None:
    """Name the variable with the key, where there is one; never a key that stands in its place.
    Of `columns` None is the whole file, and an empty list nothing."""
    name = reading.value(*KEY_AT)
    if blank(name):
        return
    if columns == []:
        reading.settle(KEY_AT)
        return
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.strip()):
        raise reading.refusal(
            KEY_AT,
            "should be the name of an environment variable",
            hint="A key that stood in a file should be used no more.",
        )
    reading.put(f"{ours}.0.encryption.key_env", name.strip(), KEY_AT)
    if columns is not None:
        reading.put(f"{ours}.0.encryption.columns", columns, KEY_AT)


def fractions(reading: Reading, keys: Keys, value: Any) -> dict[str, float]:
    """Shares as numbers, text with commas, a mapping, or a list of mappings; they sum to 1."""
    if isinstance(value, str):
        value = reading.coerced(keys, value, names)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        value = {name: part for item in value for name, part in item.items()}
    if isinstance(value, list) and len(value) <= len(SPLITS):
        value = dict(zip(SPLITS, value, strict=False))
    if not isinstance(value, dict):
        raise reading.refusal(keys, "should be shares of train, validation and test", value)
    shares: dict[str, float] = {}
    for name, part in value.items():
        split = SPLIT_WORDS.get(str(name).strip().lower())
        if split is None:
            near = difflib.get_close_matches(str(name).lower(), SPLIT_WORDS, n=1)
            hint = f"Did you mean {near[0]}?" if near else "Splits: treino, validacao, teste."
            raise reading.refusal((*keys, str(name)), "is not a split", hint=hint)
        shares[split] = reading.coerced(keys, part, share)
        if not 0 <= shares[split] <= 1:
            raise reading.refusal(keys, "should be shares between 0 and 1", part)
    total = sum(shares.values())
    if shares.get("train", 1 - total) <= 0:
        raise reading.refusal(keys, "leaves nothing for training", value)
    if "train" in shares and abs(total - 1) > 0.01:
        raise reading.refusal(keys, f"sums to {total:g}, not 1", value)
    return shares
