"""`backprop ui`: the dashboard in a browser."""

import os
from importlib.util import find_spec
from typing import Annotated

import typer

from trainer_core.errors import UserError

PORT = 7862


def ui(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    any_host: Annotated[
        bool,
        typer.Option("--any-host", help="Let --host be one that other machines can reach."),
    ] = False,
) -> None:
    """Serve the dashboard to a browser on this machine, behind a token.

    The address that it prints holds a new token each time; BACKPROP_UI_TOKEN sets one of your own.
    """
    if find_spec("textual_serve") is None:
        raise UserError(
            "the dashboard in a browser needs textual-serve, which is not installed",
            hint="Install it: pip install 'backprop-tui[web]'",
        )
    from trainer_core.web.guard import SHORTEST_TOKEN, TOKEN_VARIABLE
    from trainer_core.web.serve import is_loopback, serve

    if not any_host and not is_loopback(host):
        raise UserError(
            f"other machines could reach {host or 'every address'}",
            hint="Leave --host out and use an SSH tunnel; or add --any-host, if that is meant.",
        )
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if token and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise UserError(
            f"{TOKEN_VARIABLE} is too easy to guess, or cannot stand in an address",
            hint=f"Take {SHORTEST_TOKEN} letters and digits or more, or unset it: then there is a "
            "new one each time.",
        )
    serve(host, port, token)
