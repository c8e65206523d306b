"""Where Ollama listens, as OLLAMA_HOST has it in all its forms."""

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from trainer_core.errors import UserError
from trainer_core.text import one_line

_PORT = 11434
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Address:
    """`url` has no slash at its end. `here` says whether it is this machine."""

    url: str
    here: bool


def find_address(given: str | None, *, allow_remote: bool) -> Address:
    """Ollama's address: `given`, else OLLAMA_HOST, else this machine's own, port 11434.

    Forms: host, host:port, :port, [v6]:port, scheme://host[:port][/path]; 0.0.0.0 and :: are what a
    server listens at, so they mean this machine.

    Raises UserError for another machine without `allow_remote`, and for what is no address.
    """
    name = "the host" if given else "OLLAMA_HOST"
    # Ollama cuts spaces and quotes too.
    text = (given or os.environ.get("OLLAMA_HOST", "")).strip().strip("\"'").strip()
    address = _parse(text, name)
    if not address.here and not allow_remote:
        raise UserError(
            f"{name} names another machine, {address.url}",
            hint="--ollama-remote sends the model there; without it only this machine's Ollama is "
            "spoken to.",
        )
    return address


def _parse(text: str, name: str) -> Address:
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    if rest.count(":") > 1 and not rest.startswith("["):
        rest = f"[{rest}]"  # a bare IPv6 address has no port
    try:
        split = urlsplit(f"//{rest}")
        port = split.port
    except ValueError:
        scheme, split, port = "", urlsplit(""), None
    if scheme.lower() not in _PORTS or "@" in split.netloc or split.query or split.fragment:
        # What was given is not repeated where it could hold a password.
        shown = "" if "@" in text else f" {one_line(text, limit=80)}"
        raise UserError(
            f"{name}{shown} is not an address",
            hint="It is host:port, such as 127.0.0.1:11434, or begins with http:// or https://.",
        )
    if port is None:
        port = _PORTS[scheme.lower()] if separator else _PORT
    host, here = _host(split.hostname or "")
    path = split.path.rstrip("/")
    return Address(f"{scheme.lower()}://{host}:{port}{path}", here)


def _host(host: str) -> tuple[str, bool]:
    """The host as a URL has it, and whether it is this machine."""
    if host in {"", "localhost"}:
        return host or "127.0.0.1", True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host, False
    if address.is_unspecified:
        address = ipaddress.ip_address("::1" if address.version == 6 else "127.0.0.1")
    return (f"[{address}]" if address.version == 6 else str(address)), address.is_loopback
