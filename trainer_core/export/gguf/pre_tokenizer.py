"""Which of llama.cpp's ways of splitting text a byte-level tokenizer has."""

import hashlib
from pathlib import Path
from typing import Any

import tokenizers

from trainer_core.errors import UserError
from trainer_core.export.gguf.fingerprints import BYTE_LEVEL, FINGERPRINTS, PATTERNS

_TEXT = Path(__file__).with_name("fingerprint.txt")


def pre_tokenizer(
    backend: tokenizers.Tokenizer, data: dict[str, Any], bos: int | None
) -> tuple[str, str]:
    """Its name in llama.cpp, and a note for the user where that is a guess.

    `backend` is the tokenizer, `data` its tokenizer.json, `bos` the token that begins a text.
    Known by its ids for a text, else by the pattern it splits with, else by how that takes digits.
    Raises UserError where none of them is known.
    """
    found = _by_fingerprint(backend, bos) or _by_pattern(data)
    if found is not None:
        return found, ""
    pattern = _patterns(data)
    for digits, name in ((r"\p{N}{1,3}", "llama-bpe"), (r"\p{N}", "qwen2")):
        if digits in pattern:
            return name, (
                "llama.cpp does not know this tokenizer; it is written as one that splits text "
                f"like {name}, since both take digits alike: look at the check of the tokens"
            )
    raise UserError(
        "the tokenizer splits text in a way that llama.cpp has no name for",
        hint="Export it merged, and run it with transformers or vLLM.",
    )


def _by_fingerprint(backend: tokenizers.Tokenizer, bos: int | None) -> str | None:
    """By the ids of fingerprint.txt: as the tokenizer gives them, and, for what it puts around a
    text may have been changed, bare and with BOS alone."""
    text = _TEXT.read_text(encoding="utf-8")
    bare = list(backend.encode(text, add_special_tokens=False).ids)
    for ids in (list(backend.encode(text).ids), bare, [bos, *bare]):
        found = FINGERPRINTS.get(hashlib.sha256(str(ids).encode()).hexdigest())
        if found is not None:
            return found
    return None


def _by_pattern(data: dict[str, Any]) -> str | None:
    steps = _steps(data)
    kinds = [step.get("type") for step in steps]
    whole_words = bool(data["model"].get("ignore_merges"))
    if kinds == ["ByteLevel"] and steps[0].get("use_regex") and not whole_words:
        return BYTE_LEVEL
    if kinds == ["Split", "ByteLevel"] and steps[0].get("behavior") == "Isolated":
        return PATTERNS.get((steps[0].get("pattern", {}).get("Regex", ""), whole_words))
    return None


def _patterns(data: dict[str, Any]) -> str:
    return " ".join(str(step.get("pattern", {}).get("Regex", "")) for step in _steps(data))


def _steps(data: dict[str, Any]) -> list[dict[str, Any]]:
    step = data.get("pre_tokenizer") or {}
    steps: list[dict[str, Any]] = step.get("pretokenizers") or [step]
    return steps
