"""WebSockets under gunicorn, with any worker: ``gunicorn --threads 4 --chdir example gunicorn_echo:application``.

An open WebSocket holds none of the threads: one more thread serves all of a worker's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer whatever asks for no WebSocket."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"There is a WebSocket at /echo.\n"]


application = WebSocketApplication({"/echo": EchoWebSocket}, app=page)
