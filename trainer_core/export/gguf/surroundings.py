"""What a tokenizer does to a text before and after splitting it, as far as llama.cpp does it too;
and the tokens with a role."""

from dataclasses import dataclass
from typing import Any

from trainer_core.text import one_line

# llama.cpp looks these up in a model that it takes for a Phi-3, and fails where one is missing.
_PHI_3 = {"<unk>", "<s>", "</s>", "<|endoftext|>"}
_ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


def special_ids(
    settings: dict[str, Any], config: dict[str, Any], names: dict[str, int]
) -> dict[str, int]:
    """Ids of the tokens with a role: what tokenizer_config.json names, else config.json's number.
    A list of end tokens there is left alone."""
    found = {}
    for role in _ROLES:
        token = settings.get(f"{role}_token")
        text = token.get("content") if isinstance(token, dict) else token
        number = names.get(text) if isinstance(text, str) else None
        if number is None:
            number = config.get(f"{role}_token_id")
        if isinstance(number, int) and number >= 0:
            found[role] = number
    return found


@dataclass(frozen=True)
class Around:
    """Whether BOS is put before a text, and EOS after it; `notes` are for the user."""

    bos: bool
    eos: bool
    notes: list[str]


def around(
    data: dict[str, Any],
    settings: dict[str, Any],
    special: dict[str, int],
    tokens: dict[int, str],
) -> Around:
    """What the tokenizer puts before and after a text; llama.cpp knows BOS and EOS only."""
    processor = data.get("post_processor") or {}
    steps = processor.get("processors") or [processor]
    template = next((s["single"] for s in steps if s.get("type") == "TemplateProcessing"), None)
    if template is None:
        if any(step.get("type") == "ByteLevel" for step in steps):
            return Around(False, False, [])
        return Around(bool(settings.get("add_bos_token")), bool(settings.get("add_eos_token")), [])
    text = next((n for n, piece in enumerate(template) if "Sequence" in piece), 0)
    before = [piece["SpecialToken"]["id"] for piece in template[:text]]
    after = [piece["SpecialToken"]["id"] for piece in template[text + 1 :]]
    bos = before == [tokens.get(special.get("bos", -1))]
    eos = after == [tokens.get(special.get("eos", -1))]
    notes = [
        f"the tokenizer puts {one_line(' '.join(put), limit=80)} {where} each text; llama.cpp "
        "will not"
        for put, known, where in ((before, bos, "before"), (after, eos, "after"))
        if put and not known
    ]
    return Around(bos, eos, notes)


def changes(data: dict[str, Any]) -> list[str]:
    """What to say of changes to the text itself, none of which llama.cpp makes. Composing accents
    (NFC) is left out: hardly any text has them apart."""
    normalizer = data.get("normalizer") or {}
    kinds = [str(s.get("type")) for s in normalizer.get("normalizers") or [normalizer] if s]
    kinds = [kind for kind in kinds if kind not in ("NFC", "Prepend", "Replace")]
    before = data.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers") or [before]
    if any(s.get("type") == "ByteLevel" and s.get("add_prefix_space") for s in steps):
        kinds.append("a space before it")
    if not kinds:
        return []
    return [
        f"the tokenizer changes texts first ({one_line(', '.join(kinds), limit=80)}); llama.cpp "
        "does not"
    ]


def stripping(added: list[dict[str, Any]], names: dict[str, int]) -> tuple[bool, list[str]]:
    """Whether white space after special tokens is dropped, and what to say where it is and
    llama.cpp cannot do so: it can where a vocabulary has Phi-3's tokens."""
    kinds = [token for token in added if token.get("special")]
    if not any(token.get("rstrip") or token.get("lstrip") for token in kinds):
        return False, []
    if any(token.get("rstrip") for token in kinds) and names.keys() >= _PHI_3:
        return True, []
    return False, [
        "the tokenizer drops white space beside some special tokens; llama.cpp keeps it: tokens "
        "differ where there is any"
    ]


def space_before(data: dict[str, Any]) -> tuple[bool, list[str]]:
    """Whether a space is put before a text, and what to say where llama.cpp does it otherwise."""
    normalizer = data.get("normalizer") or {}
    steps = normalizer.get("normalizers") or [normalizer]
    if any(step.get("type") == "Prepend" for step in steps):
        return True, []
    before = data.get("pre_tokenizer") or {}
    schemes = [
        step.get("prepend_scheme", "always")
        for step in before.get("pretokenizers") or [before]
        if step.get("type") == "Metaspace"
    ]
    if not {"first", "always"}.intersection(schemes):
        return False, []
    after = " and after special tokens," if "first" in schemes else ","
    return True, [
        f"llama.cpp puts a space before texts that begin with one{after} where this tokenizer does "
        "not: the tokens of such texts differ"
    ]
