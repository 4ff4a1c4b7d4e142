"""TLS by aiofastnet, which takes half of asyncio's time for it, in the place of the loop's own.

It is used where it is installed (`pip install ws4py-ng[fast]`); ``WS4PY_NG_FASTNET=0`` in the
environment leaves TLS to the loop. Without TLS it saves next to nothing, and a connection takes
4 KiB more: that stays with the loop.

What it has read ahead and not handed on it keeps, if reading is paused meanwhile, until the peer
sends more (aiofastnet 1.2: `SSLTransport_Socket._read_ready` asks the socket first, and returns when
that has nothing). Paused between two reads it has nothing to keep: see `reads_ahead`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

__all__ = ["ENVIRONMENT", "opener", "reads_ahead"]

ENVIRONMENT: Final = "WS4PY_NG_FASTNET"


def opener(loop: asyncio.AbstractEventLoop, name: str, *, tls: bool) -> Callable[..., Any]:
    """Return what opens connections: a method of the loop, or for TLS what aiofastnet has for it."""
    if tls and os.environ.get(ENVIRONMENT) != "0":
        library = _aiofastnet()
        if library is not None:
            return partial(getattr(library, name), _Loop(loop))
    method: Callable[..., Any] = getattr(loop, name)
    return method


class _Loop:
    """Be the loop to the library, whose exception handler is not told of a peer that leaves within the handshake.

    It keeps any OSError to itself, but for that it passes the class itself instead of an instance (aiofastnet 1.2:
    `SSLTransport._process_eof`), which no handler expects: Python's fails to log it. Whoever awaits the
    connection is told all the same.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if context.get("exception") is not ConnectionResetError:
            self._loop.call_exception_handler(context)


@cache
def _aiofastnet() -> Any:
    if sys.platform == "win32":
        return None
    try:
        import aiofastnet
    except ImportError:
        return None
    return aiofastnet


def reads_ahead(transport: Any) -> bool:
    """Tell whether a transport must not be paused while it hands on what it has read, but later."""
    return transport.get_extra_info("ssl_incoming_use_membio") is True
