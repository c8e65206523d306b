"""The usual rules for keys of other tools: another name, another word, not here, always so."""

import difflib
import functools
import re
from collections.abc import Collection, Mapping
from typing import Any

from trainer_core.config.imports.reading import Coerce, Reading, Rule, shown
from trainer_core.config.imports.values import blank, off, yes_no
from trainer_core.config.yaml_file import Keys


def given(rule: Rule) -> Rule:
    """A rule for keys that were not left empty."""

    @functools.wraps(rule)
    def inner(reading: Reading, keys: Keys, value: Any) -> None:
        if not blank(value):
            rule(reading, keys, value)

    return inner


def wanted(rule: Rule) -> Rule:
    """A rule for keys that ask for something; those that say no need none."""

    @functools.wraps(rule)
    def inner(reading: Reading, keys: Keys, value: Any) -> None:
        if off(value):
            settled(reading, keys, value)
        else:
            rule(reading, keys, value)

    return inner


def to(ours: str, coerce: Coerce, note: str = "") -> Rule:
    """The key is a field of ours under another name."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        reading.put(ours, reading.coerced(keys, value, coerce), keys)
        if note:
            reading.note(keys, note)

    return rule


def word(ours: str, words: Mapping[str, str], instead: Mapping[str, str] | None = None) -> Rule:
    """The key takes one of some words, which are others here. `instead` holds words that there are
    not here, with what happens instead: a word of ours, or empty for what is decided here."""
    others = instead or {}

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        name = str(value).strip().lower()
        if name in words:
            reading.put(ours, words[name], keys)
        elif name in others:
            taken = others[name] or "what is decided here"
            reading.note(keys, f"is {shown(value)}, which is not supported: {taken} instead")
            if others[name]:
                reading.put(ours, others[name], keys)
        else:
            near = difflib.get_close_matches(name, [*words, *others], n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(words)}."
            raise reading.refusal(keys, "should be another word", value, hint)

    return rule


def unsupported(why: str) -> Rule:
    """The key asks for what there is not here; unless it says that it is not wanted."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if off(value):
            reading.settle(keys)
        else:
            reading.note(keys, f"is not supported: {why}")

    return rule


def needs(wanted: bool, otherwise: str) -> Rule:
    """The key is yes or no, and one of both is how it always is here; `otherwise` is said of the
    other."""

    @given
    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if reading.coerced(keys, value, yes_no) == wanted:
            reading.settle(keys)
        else:
            reading.note(keys, otherwise)

    return rule


def usual(words: Collection[str], otherwise: str) -> Rule:
    """The key takes one of some words, and `words` are how it is here; `otherwise` is said of
    others."""

    def rule(reading: Reading, keys: Keys, value: Any) -> None:
        if str(value).strip().lower() in words:
            reading.settle(keys)
        elif not blank(value):
            reading.note(keys, f"is {shown(value)}: {otherwise}")

    return rule


def settled(reading: Reading, keys: Keys, value: Any) -> None:
    """The key needs no setting here, whatever it says."""
    if not blank(value):
        reading.settle(keys)


def read_with_others(reading: Reading, keys: Keys, value: Any) -> None:
    """The key is read where those are that it belongs to."""


@given
def put_name(reading: Reading, keys: Keys, value: Any) -> None:
    """The run's name, where it can be one."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", str(value)):
        reading.put("run.name", str(value), keys)
    else:
        reading.note(
            keys, "is no name for a run (letters, digits, . _ -), so the run is named by its model"
        )


@given
def put_folder(reading: Reading, keys: Keys, value: Any) -> None:
    """The run folder, which is never written over."""
    if not isinstance(value, str):
        raise reading.refusal(keys, "should be the path of a folder", value)
    reading.put("run.folder", value.strip(), keys)
    reading.note(
        keys,
        "becomes the run folder, which must be new or empty, and lies beside this file if relative",
    )
