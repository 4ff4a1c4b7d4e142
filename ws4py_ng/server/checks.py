"""What a server refuses of its program where it is made; the first visitor would find it out."""

from __future__ import annotations

from contextlib import suppress
from inspect import signature
from typing import Any

from ..websocket import WebSocket

__all__ = ["check_handler", "check_path", "check_server", "takes"]

# Where clients come from, which a server does not load.
CLIENTS = f"{__name__.partition('.')[0]}.client"


def check_handler(handler: Any) -> None:
    """Raise TypeError for a type that serves no WebSocket, and for what is no type and cannot be called."""
    if isinstance(handler, type):
        fits = issubclass(handler, WebSocket) and not any(
            base.__module__.startswith(CLIENTS) for base in handler.__mro__
        )
    else:
        fits = callable(handler)
    if not fits:
        raise TypeError(
            f"handlers: {handler!r} serves no WebSocket, expected a subclass of WebSocket, no client's, or a function"
        )
    if not isinstance(handler, type) and not takes(handler, 1):
        raise TypeError(
            f"handlers: {handler!r} has the parameters {signature(handler)}, expected one, a WebSocket or the `request`"
        )


def takes(function: Any, number: int) -> bool:
    """Tell whether a function can be called with so many arguments; if Python cannot tell, it can."""
    try:
        with suppress(ValueError):
            signature(function).bind(*[None] * number)
    except TypeError:
        return False
    return True


def check_path(path: object) -> None:
    """Raise ValueError for a key that no path can be."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError(f"handlers has the key {path!r}, expected a path such as '/chat'")


def check_server(max_connections: object, process_request: object = None, ssl_context: object = None) -> None:
    """Raise TypeError or ValueError for what a server would be given beside."""
    if isinstance(max_connections, bool) or not isinstance(max_connections, int):
        raise TypeError(f"max_connections is {max_connections!r}, expected an int >= 1")
    if max_connections < 1:
        raise ValueError(f"max_connections is {max_connections!r}, expected at least 1")
    if process_request is not None and not callable(process_request):
        raise TypeError(f"process_request is {process_request!r}, expected a function of a request")
    if ssl_context is not None and not hasattr(ssl_context, "wrap_socket"):
        raise TypeError(f"ssl_context is {ssl_context!r}, expected an ssl.SSLContext")
