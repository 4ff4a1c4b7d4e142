"""simple-websocket's manual, as plain WSGI: it runs under every server, and behind the end it answers."""

from __future__ import annotations

from typing import Any

from ws4py_ng.shims import install

install("simple_websocket")

from simple_websocket import ConnectionClosed, Server  # noqa: E402


def application(environ: dict[str, Any], start_response: Any) -> Any:
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
        return [b"page"]
    ws = Server.accept(environ, subprotocols=["echo"], max_message_size=16 << 20)
    try:
        while True:
            message = ws.receive()
            if message == "bye":
                ws.close(4000, "bye")
            ws.send(message)
    except ConnectionClosed:
        pass
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"late!"]
