"""A tokenizer as GGUF keeps it, read from tokenizer.json alone: what transformers 5 saves."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
from gguf import TokenType

from trainer_core.errors import UserError
from trainer_core.export.gguf.pre_tokenizer import pre_tokenizer
from trainer_core.export.gguf.surroundings import (
    around,
    changes,
    space_before,
    special_ids,
    stripping,
)
from trainer_core.text import one_line

# What llama.cpp's own converter gives a token that was added to a SentencePiece model, and an id
# without a token.
_ADDED_SCORE, _NO_SCORE = -1000.0, -10000.0
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # what stands for a space in SentencePiece
_BYTE_SPACE = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"  # and in byte-level BPE


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF says of its tokenizer. `kind` is gpt2 (byte-level BPE, with `merges`) or llama
    (SentencePiece, with `scores`). `special` maps bos, eos… to ids. `add_space` is None where
    llama.cpp never asks. `strips`: white space after special tokens is dropped. `notes` are for
    the user."""

    kind: str
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float]
    merges: list[str]
    special: dict[str, int]
    add_bos: bool
    add_eos: bool
    add_space: bool | None
    strips: bool
    notes: list[str] = field(default_factory=list)


def read_vocabulary(folder: Path, config: dict[str, Any], size: int) -> Vocabulary:
    """The tokenizer in `folder`, of a model with `size` rows of embeddings.

    Raises UserError for a tokenizer that is missing, of a kind that llama.cpp has not, or larger
    than the model.
    """
    path = folder / "tokenizer.json"
    data, backend = _read(path)
    settings = _settings(folder)
    model, added = data["model"], data.get("added_tokens") or []
    names: dict[str, int] = dict(model["vocab"]) | {t["content"]: t["id"] for t in added}
    largest = max(names.values(), default=0)
    if largest >= size:
        raise UserError(
            f"the tokenizer has {largest + 1} tokens, the model only {size} embeddings",
            where=str(path),
        )
    special = special_ids(settings, config, names)
    edges = around(data, settings, special, {i: name for name, i in names.items()})
    strips, kept = stripping(added, names)
    common: dict[str, Any] = {
        "special": special,
        "add_bos": edges.bos,
        "add_eos": edges.eos,
        "strips": strips,
    }
    said = edges.notes + changes(data) + kept
    if model.get("byte_fallback"):
        space, notes = space_before(data)
        tokens, types = _tokens(names, added, size, str(model.get("unk_token")), byte_tokens=True)
        return Vocabulary(
            kind="llama",
            pre="default",
            tokens=tokens,
            types=types,
            scores=_scores(model, types),
            merges=[],
            add_space=space,
            notes=said + notes,
            **common,
        )
    if not _is_byte_level(data):
        raise UserError(
            "the tokenizer is neither byte-level nor has it bytes to fall back on; llama.cpp "
            "cannot run it",
            where=str(path),
        )
    pre, guess = pre_tokenizer(backend, data, special.get("bos"))
    tokens, types = _tokens(names, added, size, "", byte_tokens=False)
    return Vocabulary(
        kind="gpt2",
        pre=pre,
        tokens=tokens,
        types=types,
        scores=[],
        merges=_merges(model),
        add_space=None,
        notes=said + ([guess] if guess else []),
        **common,
    )


def _read(path: Path) -> tuple[dict[str, Any], tokenizers.Tokenizer]:
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
        backend = tokenizers.Tokenizer.from_str(text)
        known = data["model"].get("type", "BPE") == "BPE" and isinstance(
            data["model"]["vocab"], dict
        )
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} has no tokenizer.json",
            hint="Save the model's fast tokenizer there (transformers: save_pretrained).",
        ) from None
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"{path} is not a tokenizer: {one_line(str(error), limit=200)}") from None
    if not known:
        kind = one_line(str(data["model"].get("type")), limit=40)
        raise UserError(f"the tokenizer is a {kind}; byte pairs (BPE) are known", where=str(path))
    backend.no_truncation()
    backend.no_padding()
    return data, backend


def _settings(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _tokens(
    names: dict[str, int],
    added: list[dict[str, Any]],
    size: int,
    unknown: str,
    *,
    byte_tokens: bool,
) -> tuple[list[str], list[int]]:
    """Each id's text and type; ids without a token are named and unused, as there must be one for
    each row of the embeddings."""
    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [int(TokenType.UNUSED)] * size
    for name, number in names.items():
        tokens[number], types[number] = name, int(TokenType.NORMAL)
        if byte_tokens and _is_byte(name):
            types[number] = int(TokenType.BYTE)
        elif name == unknown:
            types[number] = int(TokenType.UNKNOWN)
    for token in added:
        name, number = token["content"], token["id"]
        if token.get("special") or _looks_special(name):
            tokens[number], types[number] = name, int(TokenType.CONTROL)
        else:
            # llama.cpp looks for these in the text as it was given.
            tokens[number] = name.replace(_SPACE, " ")
            types[number] = int(TokenType.USER_DEFINED)
    return tokens, types


def _scores(model: dict[str, Any], types: list[int]) -> list[float]:
    """llama.cpp joins the neighbours whose token scores highest, so a token's score is how early
    the first merge comes that makes it; those that no merge makes come last, by their ids."""
    scores = [_NO_SCORE] * len(types)
    order: dict[str, None] = {}
    for merge in model["merges"]:
        order.setdefault("".join(_parts(merge)))
    made = [model["vocab"][token] for token in order if token in model["vocab"]]
    rest = sorted(set(model["vocab"].values()) - set(made))
    ranked = [number for number in made + rest if types[number] == TokenType.NORMAL]
    for rank, number in enumerate(ranked):
        scores[number] = -float(rank)
    for number, kind in enumerate(types):
        if kind in (TokenType.BYTE, TokenType.UNKNOWN):
            scores[number] = 0.0
        elif kind in (TokenType.CONTROL, TokenType.USER_DEFINED):
            scores[number] = _ADDED_SCORE
    return scores


def _merges(model: dict[str, Any]) -> list[str]:
    """`left right`; a space that is part of a token is written as byte-level BPE writes one."""
    return [
        " ".join(part.replace(" ", _BYTE_SPACE) for part in _parts(merge))
        for merge in model["merges"]
    ]


def _parts(merge: str | list[str]) -> list[str]:
    return merge.split(" ", 1) if isinstance(merge, str) else merge


def _is_byte(name: str) -> bool:
    return len(name) == 6 and name.startswith("<0x") and name.endswith(">")


def _looks_special(name: str) -> bool:
    """Some models do not mark their control tokens as special. The list is llama.cpp's."""
    bar = "\N{FULLWIDTH VERTICAL LINE}"
    return (
        name in ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
        or (name.startswith("<|") and name.endswith("|>"))
        or (name.startswith(f"<{bar}") and name.endswith(f"{bar}>"))
        or (name.startswith("<unused") and name.endswith(">"))
    )


def _is_byte_level(data: dict[str, Any]) -> bool:
    step = data.get("pre_tokenizer") or {}
    return any(s.get("type") == "ByteLevel" for s in step.get("pretokenizers") or [step])
