"""Flask-Sock's example."""

from __future__ import annotations

from typing import Any

from ws4py_ng.shims import install

install("simple_websocket")

from flask import Flask  # noqa: E402
from flask_sock import Sock  # noqa: E402

application = Flask(__name__)
application.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": 25, "max_message_size": 16 << 20}
sock = Sock(application)


@application.route("/")
def index() -> str:
    return "page"


@sock.route("/echo")
def echo(ws: Any) -> None:
    while True:
        data = ws.receive()
        if data == "close":
            break
        ws.send(data)
