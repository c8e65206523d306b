"""The model's own tokenizer.json, used as it is: no library between it and the token ids."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from trainer_core.errors import UserError
from trainer_core.reading import read_object, read_text
from trainer_core.text import one_line

# Bytes. The largest tokenizers have some 40 MB, the longest chat templates some 20 kB.
MOST_TOKENIZER, MOST_TEMPLATE = 256 << 20, 1 << 20


@dataclass(frozen=True)
class Tokenizer:
    """Text to ids and back. `bos`, `eos`, `pad` are token strings, empty where there is none."""

    backend: tokenizers.Tokenizer
    template: str | None
    bos: str
    eos: str
    pad_id: int
    eos_id: int | None
    stop_ids: tuple[int, ...]

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Ids of `text`.

        `special` adds what the tokenizer puts around a text (usually BOS); text that a chat
        template rendered has that already.
        """
        return list(self.backend.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, special tokens left out."""
        return str(self.backend.decode(ids, skip_special_tokens=True))

    def answer(self, ids: Sequence[int]) -> str:
        """Text of an answer, without the token that ends it and white space around it."""
        said = ids[:-1] if ids and ids[-1] in self.stop_ids else ids
        return self.decode(list(said)).strip()

    def pieces(self, ids: list[int]) -> list[tuple[str, bool]]:
        """The text that each id adds, and whether it is one of the tokenizer's own marks. A letter
        made of several tokens comes with the last of them."""
        stream = tokenizers.decoders.DecodeStream(skip_special_tokens=False)
        own = self.backend.get_added_tokens_decoder()
        return [(stream.step(self.backend, token) or "", token in own) for token in ids]


def load_tokenizer(folder: Path, template_file: str | None = None) -> Tokenizer:
    """Load the tokenizer of a model folder, with its chat template or the one in `template_file`.

    Raises UserError if the folder has no tokenizer that can be used.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UserError(
            f"{folder} has no tokenizer.json",
            hint="Save the model's fast tokenizer there (transformers: save_pretrained).",
        )
    try:
        backend = tokenizers.Tokenizer.from_str(read_text(path, MOST_TOKENIZER))
    except UserError:
        raise
    except Exception as error:  # the library raises plain Exception
        reason = one_line(str(error), limit=200)
        raise UserError(
            f"{path} is not a tokenizer: {reason.rstrip('.')}", hint="Fetch it again."
        ) from None
    backend.no_truncation()
    backend.no_padding()
    config = _read_json(folder / "tokenizer_config.json")
    bos, eos, pad = (_token(config, name) for name in ("bos_token", "eos_token", "pad_token"))
    eos_id = backend.token_to_id(eos) if eos else None
    pad_id = backend.token_to_id(pad) if pad else None
    # The pad token is masked out everywhere, so any token will do where the model has none.
    fallback = eos_id if eos_id is not None else 0
    return Tokenizer(
        backend=backend,
        template=_template(folder, config, template_file),
        bos=bos,
        eos=eos,
        pad_id=pad_id if pad_id is not None else fallback,
        eos_id=eos_id,
        stop_ids=_stop_ids(folder, eos_id),
    )


def _stop_ids(folder: Path, eos_id: int | None) -> tuple[int, ...]:
    """Every token that ends an answer: the tokenizer's, and those of the generation config."""
    listed = _read_json(folder / "generation_config.json").get("eos_token_id", [])
    ids = {*(listed if isinstance(listed, list) else [listed]), eos_id}
    return tuple(sorted(token for token in ids if isinstance(token, int)))


def _template(folder: Path, config: dict[str, Any], template_file: str | None) -> str | None:
    if template_file is not None:
        return named_template(template_file)
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        return read_text(beside, MOST_TEMPLATE)
    template = config.get("chat_template")
    if isinstance(template, list):  # several named ones: the default is for chat
        named = [entry for entry in template if isinstance(entry, dict)]
        template = next((e.get("template") for e in named if e.get("name") == "default"), None)
    return template if isinstance(template, str) else None


def named_template(name: str) -> str:
    """The template in a file, or the one of a family. Raises UserError."""
    families = {path.stem: path for path in (Path(__file__).parent / "families").glob("*.jinja")}
    try:
        path = Path(name) if Path(name).is_file() else families.get(name.lower())
    except (OSError, ValueError):  # no name of a file
        path = None
    if path is None:
        near = difflib.get_close_matches(name.lower(), families, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Families: {', '.join(sorted(families))}."
        raise UserError(f"model.template {name} is neither a file nor a family", hint=hint)
    return read_text(path, MOST_TEMPLATE)


def _token(config: dict[str, Any], name: str) -> str:
    value = config.get(name)
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except FileNotFoundError:
        return {}
