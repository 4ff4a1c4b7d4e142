"""python-engineio in threads: it sends back what comes."""

from __future__ import annotations

from typing import Any

from ws4py_ng.shims import install

install("simple_websocket")

import engineio  # noqa: E402

server = engineio.Server(async_mode="threading")
application = engineio.WSGIApp(server)


@server.on("message")
def message(sid: str, data: Any) -> None:
    server.send(sid, data)
