"""OLLAMA_HOST in all its forms; and nothing goes to another machine unasked."""

import pytest

from trainer_core.errors import UserError
from trainer_core.export.ollama.host import find_address


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  'localhost' ", "http://localhost:11434"),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("127.0.0.2:5000", "http://127.0.0.2:5000"),
        (":5000", "http://127.0.0.1:5000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        ("http://localhost", "http://localhost:80"),
        ("https://localhost/", "https://localhost:443"),
        ("HTTP://localhost:5000/ollama/", "http://localhost:5000/ollama"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::]:5000", "http://[::1]:5000"),
    ],
)
def test_this_machine(monkeypatch: pytest.MonkeyPatch, given: str, url: str) -> None:
    monkeypatch.setenv("OLLAMA_HOST", given)
    address = find_address(None, allow_remote=False)
    assert (address.url, address.here) == (url, True)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("10.0.0.7", "http://10.0.0.7:11434"),
        ("gpu.example:5000", "http://gpu.example:5000"),
        ("https://ollama.example/path", "https://ollama.example:443/path"),
        ("127.0.0.1.example", "http://127.0.0.1.example:11434"),
        ("[2001:db8::1]:5000", "http://[2001:db8::1]:5000"),
    ],
)
def test_another_machine_only_if_allowed(given: str, url: str) -> None:
    with pytest.raises(UserError, match=r"names another machine.*--ollama-remote"):
        find_address(given, allow_remote=False)
    address = find_address(given, allow_remote=True)
    assert (address.url, address.here) == (url, False)


@pytest.mark.parametrize(
    "given", ["ftp://localhost", "localhost:99999", "localhost:x", "[::1", "http://a?b=c"]
)
def test_no_address(given: str) -> None:
    with pytest.raises(UserError, match="is not an address"):
        find_address(given, allow_remote=True)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(UserError, match="is not an address") as raised:
        find_address("http://me:secret@localhost", allow_remote=True)
    assert "secret" not in str(raised.value)
