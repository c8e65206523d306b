"""treinar_unsloth: inputs and answers in folders, or in Parquet files, and how they are split."""

from dataclasses import dataclass
from typing import Any

from trainer_core.config.imports.globs import as_glob, is_regex
from trainer_core.config.imports.reading import Reading, Table
from trainer_core.config.imports.rules import (
    given,
    needs,
    read_with_others,
    settled,
    to,
    unsupported,
)
from trainer_core.config.imports.treinar_data import KEY_AT, encrypt, fractions, under
from trainer_core.config.imports.values import blank, off, says_yes, text, whole, yes_no
from trainer_core.config.yaml_file import Keys

filtered = unsupported("every row is used; put the rows that it keeps into files of their own")
_PAIRS = "data.train.0.pairs"

INPUT: Table = {
    "pasta": read_with_others,
    "mascara": read_with_others,
    "prompt_template": read_with_others,
    "tag_texto": read_with_others,
    "dataframe": read_with_others,
    "dataframe_col": read_with_others,
    "dataframe_id": read_with_others,
    "dataset_filtro": filtered,
    "texto_criptografado": read_with_others,
    "prompt_criptografado": read_with_others,
}


@given
def skip_invalid(reading: Reading, keys: Keys, value: Any) -> None:
    """Whether rows that cannot be used stop the run."""
    skip = reading.coerced(keys, value, yes_no)
    reading.put("data.problems", "skip" if skip else "strict", keys)


@given
def answers(reading: Reading, keys: Keys, value: Any) -> None:
    """The format of the answers."""
    if str(value).strip().lower() == "json":
        reading.note(
            keys,
            "is json, but answers are trained as they stand: none is checked to be JSON, and none "
            "is replaced by {}",
        )
    else:
        reading.settle(keys)


GOLD: Table = {
    "pasta": read_with_others,
    "mascara": read_with_others,
    "dataframe": read_with_others,
    "dataframe_col": read_with_others,
    "dataframe_id": read_with_others,
    "formato": answers,
    "texto_criptografado": read_with_others,
}
OUTPUT: Table = {
    name: unsupported("`backprop predict` writes into the run folder, to predictions/")
    for name in ("pasta", "mascara", "formato", "texto_criptografado")
}
_PAIRED = "is off, but the names of inputs and answers must fit here"
VALIDATION: Table = {
    "exigir_json_valido": settled,  # what there is to say is said where the format is json
    "skip_invalidos": skip_invalid,
    "exigir_ids_pareados": needs(True, _PAIRED),
}
SPLIT: Table = {
    "arquivo": read_with_others,
    "proporcao": read_with_others,
    "seed": to("data.split.seed", whole),
    "validar_ids": needs(True, "is off, but the ids of the split file are always checked"),
}


@dataclass(frozen=True)
class Folders:
    """Where a file with folders says what: `holder` is pastas or curriculum, `gold` the section of
    it with the answers, `split` the keys of what says how to split, `root` the folder that relative
    paths start from."""

    holder: str
    gold: str
    split: Keys
    root: str = ""


def put_folders(reading: Reading, folders: Folders) -> None:
    """Inputs and answers, from folders or Parquet files, and how they are split."""
    entrada, gold = (folders.holder, "entrada"), (folders.holder, folders.gold)
    _refuse_secret_prompt(reading, entrada)
    if off(reading.value(*gold, "dataframe")):
        _put_pairs(reading, folders, entrada, gold)
        _put_split(reading, folders, "id")
    else:
        identifier = _put_table(reading, folders, entrada, gold)
        _put_split(reading, folders, identifier)


def _put_pairs(reading: Reading, folders: Folders, entrada: Keys, gold: Keys) -> None:
    frame = reading.value(*entrada, "dataframe")
    inputs = (*entrada, "dataframe" if not off(frame) and not says_yes(frame) else "pasta")
    _put_path(reading, folders, f"{_PAIRS}.inputs", inputs)
    if off(frame):
        _put_mask(reading, f"{_PAIRS}.input_mask", (*entrada, "mascara"))
    else:
        column = (*entrada, "dataframe_col")
        if blank(reading.value(*column)):
            raise reading.refusal(column, "is missing: the column with the text of the inputs")
        _put_text(reading, f"{_PAIRS}.input_column", column)
        _put_text(reading, f"{_PAIRS}.id_column", (*entrada, "dataframe_id"))
        if says_yes(frame):
            reading.settle((*entrada, "dataframe"))
        _leave(reading, (*entrada, "mascara"))
    _put_path(reading, folders, f"{_PAIRS}.answers", (*gold, "pasta"))
    _put_mask(reading, f"{_PAIRS}.answer_mask", (*gold, "mascara"))
    _put_path(reading, folders, f"{_PAIRS}.prompt", (*entrada, "prompt_template"))
    _put_text(reading, f"{_PAIRS}.placeholder", (*entrada, "tag_texto"))
    for section in (gold, entrada) if off(frame) else (gold,):
        _leave(reading, (*section, "dataframe_col"))
        _leave(reading, (*section, "dataframe_id"))
    secret = [section for section in (entrada, gold) if _encrypted(reading, section)]
    if len(secret) == 1:
        reading.note(
            (*secret[0], "texto_criptografado"),
            "is on for one side only, but inputs and answers are decrypted alike here: encrypt "
            "both, or neither",
        )
    encrypt(reading, "data.train", None if secret else [])


def _put_table(reading: Reading, folders: Folders, entrada: Keys, gold: Keys) -> str:
    """Inputs and answers that are columns of one Parquet file; gives the column with the ids."""
    path, other = reading.value(*gold, "dataframe"), reading.value(*entrada, "dataframe")
    if path != other or not blank(reading.value(*entrada, "prompt_template")):
        raise reading.refusal(
            (*gold, "dataframe"),
            "cannot be read: answers are files in a folder, or stand in the same Parquet file as "
            "the inputs, without a prompt template",
            hint="Write each answer to <id>.txt in one folder, and name that in pasta.",
        )
    _put_path(reading, folders, "data.train.0.path", (*gold, "dataframe"))
    columns = {
        ours: reading.coerced((*at, "dataframe_col"), reading.value(*at, "dataframe_col"), text)
        for ours, at in (("prompt", entrada), ("completion", gold))
    }
    reading.put("data.train.0.columns", columns, (*entrada, "dataframe_col"))
    sides = (("prompt", entrada), ("completion", gold))
    encrypt(reading, "data.train", [columns[side] for side, at in sides if _encrypted(reading, at)])
    for at in (entrada, gold):
        for key in ("pasta", "mascara", "tag_texto", "dataframe", "dataframe_col", "dataframe_id"):
            _leave(reading, (*at, key))
    identifier = reading.value(*gold, "dataframe_id")
    return "id" if blank(identifier) else str(identifier)


def _put_split(reading: Reading, folders: Folders, identifier: str) -> None:
    at = (*folders.split, "arquivo")
    if not blank(reading.value(*at)):
        _put_path(reading, folders, "data.split.file", at)
        reading.put("data.split.id", identifier, at)
    at = (*folders.split, "proporcao")
    value = reading.value(*at)
    if not blank(value):
        reading.put("data.split.fractions", fractions(reading, at, value), at)


def _put_path(reading: Reading, folders: Folders, ours: str, keys: Keys) -> None:
    value = reading.value(*keys)
    if not blank(value):
        path = reading.coerced(keys, value, text)
        if "\n" in path:
            raise reading.refusal(
                keys, "is text, not the path of a file", hint="Write it to a file, and name that."
            )
        reading.put(ours, under(folders.root, path), keys)


def _put_text(reading: Reading, ours: str, keys: Keys) -> None:
    to(ours, text)(reading, keys, reading.value(*keys))


def _put_mask(reading: Reading, ours: str, keys: Keys) -> None:
    value = reading.value(*keys)
    if blank(value):
        return
    mask = reading.coerced(keys, value, text)
    glob = as_glob(mask) if is_regex(mask) else mask
    if glob is None:
        reading.note(keys, "is a regular expression, and is used as one where no file fits it")
    reading.put(ours, glob or mask, keys)


def _leave(reading: Reading, keys: Keys) -> None:
    """A key that has nothing to say beside the others."""
    if keys in reading.source.lines:
        settled(reading, keys, reading.value(*keys))


def _encrypted(reading: Reading, section: Keys) -> bool:
    """Whether texts are encrypted: where there is a key they are, unless the file denies it."""
    keys = (*section, "texto_criptografado")
    value = reading.value(*keys)
    if blank(reading.value(*KEY_AT)):
        _leave(reading, keys)
        return False
    if blank(value):
        return True
    reading.settle(keys)
    return bool(reading.coerced(keys, value, yes_no))


def _refuse_secret_prompt(reading: Reading, entrada: Keys) -> None:
    keys = (*entrada, "prompt_criptografado")
    if off(reading.value(*keys)):
        _leave(reading, keys)
    else:
        raise reading.refusal(
            keys,
            "asks for a prompt template that is encrypted, which cannot be read here",
            hint="Decrypt the template into a file, and turn this off.",
        )
