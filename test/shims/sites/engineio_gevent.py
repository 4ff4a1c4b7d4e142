"""python-engineio over gevent, by gevent-websocket's server."""

from __future__ import annotations

import sys
from typing import Any

from ws4py_ng.shims import install

install("geventwebsocket", "simple_websocket")

import engineio  # noqa: E402
from gevent import pywsgi  # noqa: E402
from geventwebsocket.handler import WebSocketHandler  # noqa: E402

server = engineio.Server(async_mode="gevent")


@server.on("message")
def message(sid: str, data: Any) -> None:
    server.send(sid, data)


if __name__ == "__main__":
    listener = pywsgi.WSGIServer(("127.0.0.1", 0), engineio.WSGIApp(server), handler_class=WebSocketHandler, log=None)
    listener.start()
    sys.stdout.write(f"listening on {listener.server_port}\n")
    listener.serve_forever()
