"""Who may use the dashboard in a browser: three checks that every request passes, in this order.

Host: the name that the browser was told to open. Another name than ours means that somebody's DNS
points at this machine (rebinding). Origin: the page that asks. Another than ours is somebody else's
page in the same browser. Token: whoever has it was told it by us; it comes once in the URL, then in
a cookie that no script can read and that no other site's page can make the browser send.
"""

import secrets
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# From the environment only: a command line can be read by every user of the machine.
TOKEN_VARIABLE = "BACKPROP_UI_TOKEN"  # noqa: S105 - the name of the variable
SHORTEST_TOKEN = 20
# What the page may do: its own scripts and connections, and nothing from anywhere else. The
# terminal's library sets styles from its script.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Lets requests through, or not. `names` are the hosts' names that are ours besides addresses;
    with `only_here`, addresses count only if they are of this machine's loopback."""

    def __init__(self, token: str, names: frozenset[str], *, only_here: bool) -> None:
        self.token = token
        self._names = names
        self._only_here = only_here

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware: 403 and a sentence for what must not pass."""
        if not self._knows(request.headers.get("Host", "")):
            raise web.HTTPForbidden(text="This name is not one of this server's.\n")
        if not _comes_from_us(request):
            raise web.HTTPForbidden(text="Another site's page may not ask this server.\n")
        given = request.query.get("token")
        if given is not None and request.path == "/":
            self._require(given)
            raise self._into_a_cookie(request)
        self._require(request.cookies.get(_cookie(request), ""))
        return await handler(request)

    def _knows(self, host: str) -> bool:
        name = _without_port(host)
        try:
            address = ip_address(name)
        except ValueError:
            return name in self._names
        return address.is_loopback or not self._only_here

    def _require(self, given: str) -> None:
        if not secrets.compare_digest(
            given.encode("utf-8", "surrogateescape"), self.token.encode()
        ):
            raise web.HTTPForbidden(
                text="This server asks for a token. Open the whole address that `backprop ui` "
                "printed, with ?token= in it.\n"
            )

    def _into_a_cookie(self, request: web.Request) -> web.HTTPSeeOther:
        """Out of the URL: it is kept in histories, and shown to whoever looks at the screen."""
        moved = web.HTTPSeeOther("/")
        moved.set_cookie(_cookie(request), self.token, httponly=True, samesite="Strict", path="/")
        return moved


def new_token() -> str:
    """A token for one start of the server: 256 random bits."""
    return secrets.token_urlsafe(32)


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Say with every answer what a browser may make of it."""
    response.headers.update(HEADERS)


def _comes_from_us(request: web.Request) -> bool:
    """Browsers name the origin whenever a page of another site can be behind a request, and with
    every WebSocket; so there its absence is no excuse."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Upgrade", "").lower() != "websocket"
    host = request.headers.get("Host", "").lower()
    return origin.lower() in {f"http://{host}", f"https://{host}"}


def _cookie(request: web.Request) -> str:
    """Cookies are shared by all ports of a host, so each server's has a name of its own."""
    port = request.headers.get("Host", "").rpartition(":")[2]
    return f"backprop-{port if port.isdecimal() else 80}"


def _without_port(host: str) -> str:
    """The name in a Host header: `localhost:7862`, `127.0.0.1`, `[::1]:7862`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".").lower()
