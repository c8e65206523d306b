"""Credentials in a config: a config is copied into every run folder and read by many, so there they
are refused."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from trainer_core.config.mistakes import ConfigError, where_is
from trainer_core.config.yaml_file import Keys, YamlFile

# What it is, how it looks, and what to do with it.
_KINDS = (
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}", "export HF_TOKEN=…"),
    ("a GitHub token", r"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{40})", "export GITHUB_TOKEN=…"),
    ("a secret key", r"\bsk-[A-Za-z0-9_-]{32,}", "an environment variable"),
    ("an AWS access key", r"\bAKIA[0-9A-Z]{16}\b", "export AWS_ACCESS_KEY_ID=…"),
    ("a Fernet key", r"^[A-Za-z0-9_-]{43}=$", "a variable that encryption.key_env names"),
    ("a password", r"://[^/\s:@]+:[^/\s@]+@", "the machine's own login"),
)
KINDS = tuple((name, re.compile(pattern), place) for name, pattern, place in _KINDS)


def refuse_credentials(file: YamlFile, data: Any, overrides: Sequence[str] = ()) -> None:
    """Raises ConfigError, which does not repeat it, for the first credential in `data`: what `file`
    holds and the fields that `overrides` name."""
    for keys, text in _texts(data):
        for name, pattern, place in KINDS:
            if pattern.search(text):
                wrong = ConfigError(
                    keys,
                    f"{'.'.join(map(str, keys))} holds {name}, and configs are copied and shown",
                    where=where_is(keys, [file], overrides),
                    hint=f"Take it out, and give it by {place} instead.",
                )
                wrong.every = (wrong,)
                raise wrong


def _texts(value: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*keys, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*keys, number))
