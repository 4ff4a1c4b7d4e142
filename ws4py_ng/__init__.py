"""ws4py_ng: WebSocket over anything that answers with bytes (RFC 6455, RFC 7692).

Subclass `ws4py_ng.websocket.WebSocket` for a server, a ``WebSocketClient`` of
`ws4py_ng.client` for a client, and override `opened`, `received_message`, `closed`. Or `connect`,
and `receive` when you like.
"""

from __future__ import annotations

import sys

from ._version import __version__

# What only a few programs need is imported where that is: `typing` and `logging` take longer than all
# the rest of this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Sequence
    from typing import Any

    from ._core import BUILD
    from .client.threadedclient import Connection

__author__ = "the ws4py_ng authors"
__all__ = [
    "BUILD",
    "WS_KEY",
    "WS_VERSION",
    "__version__",
    "configure_logger",
    "connect",
    "format_addresses",
    "install_as_ws4py",
]

WS_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WS_VERSION = (8, 13)


def configure_logger(stdout: bool = True, filepath: str | None = None, level: int = 20) -> logging.Logger:
    """Let the logger of this package write to standard output, to a file that rotates, or both.

    For a program without a logging configuration of its own; ``level`` 20 is `logging.INFO`. Behind
    `install_as_ws4py` it is the logger ``ws4py``, which gets all of ours, too.
    """
    import logging
    from logging.handlers import RotatingFileHandler  # it loads socket and more

    logger = logging.getLogger("ws4py_ng")
    if logger.parent is not None and logger.parent.name == "ws4py":  # `install` has set it
        logger = logger.parent
    logger.setLevel(level)
    formatter = logging.Formatter("[%(asctime)s] %(levelname)s %(message)s")
    handlers: list[logging.Handler] = []
    if filepath:
        handlers.append(RotatingFileHandler(filepath, maxBytes=10485760, backupCount=3))
    if stdout:
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setLevel(level)
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    return logger


def connect(url: str, protocols: Sequence[str] | None = None, **options: Any) -> Connection:
    """Connect to a server, and send and receive at will; threads, of which one reads.

        with ws4py_ng.connect("ws://localhost:9000/") as ws:
            ws.send("hello")
            print(ws.receive(timeout=5))

    Parameters and errors: see `ws4py_ng.client.WebSocketBaseClient`. `client.asyncioclient`,
    ``trioclient``, ``tornadoclient``, ``geventclient`` and ``eventletclient`` have a `connect` as well.
    """
    from .client.threadedclient import connect as connect_by_threads  # it loads socket and more

    return connect_by_threads(url, protocols, **options)


def format_addresses(ws: Any) -> str:
    """Name both ends of a connection, for a log line."""
    local, peer = ws.local_address, ws.peer_address
    if isinstance(local, tuple) and isinstance(peer, tuple):
        return f"[Local => {local[0]}:{local[1]} | Remote => {peer[0]}:{peer[1]}]"
    return f"[Bound to '{local or peer}']"


def install_as_ws4py() -> None:
    """Let programs that import ``ws4py`` get this package; call it before anything imports that.

    For a program that cannot be edited, as pylxd. Raises RuntimeError when ws4py is imported already.
    """
    from .shims import install_as_ws4py as install  # it is needed by few

    install()


if not TYPE_CHECKING:  # it would let a type checker take any name

    def __getattr__(name: str) -> str:
        """Find out which build runs when that is asked for."""
        if name != "BUILD":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._core import BUILD

        return BUILD
