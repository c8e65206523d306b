"""Secrets are given to trackers in the environment, and their libraries may repeat them."""

import os
import re

_NAMES = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/\s@]+@")
# Shorter ones are words.
_LENGTH = 8


def without_secrets(text: str) -> str:
    """`text` without what the environment keeps secret, and without the passwords of addresses."""
    for name, value in os.environ.items():
        if len(value) >= _LENGTH and _NAMES.search(name):
            text = text.replace(value, "…")
    return _PASSWORD.sub("://…@", text)
