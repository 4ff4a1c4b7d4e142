"""The echo of eventlet's manual, for messages of up to 16 MiB."""

from __future__ import annotations

from typing import Any

from ws4py_ng.shims import install

install("eventlet.websocket")

from eventlet import websocket  # noqa: E402


def echo(ws: Any) -> None:
    while (message := ws.wait()) is not None:
        ws.send(message)


application = websocket.WebSocketWSGI(echo, max_frame_length=16 << 20)
