"""Flask-SocketIO, with a page that talks to it by Socket.IO's own client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ws4py_ng.shims import install

install("simple_websocket")

from flask import Flask, Response  # noqa: E402
from flask_socketio import SocketIO, emit  # noqa: E402

PAGE = """<!doctype html><title>waiting</title><script src="/client.js"></script><script>
const socket = io({transports: ["websocket"]});
const heard = [];
socket.on("connect", () => {
  socket.emit("echo", {text: "h\u00e9llo"});
  socket.emit("echo", new Uint8Array([1, 2, 255]));
});
socket.on("echoed", data => {
  heard.push(data instanceof ArrayBuffer ? "bytes " + new Uint8Array(data).join() : data.text);
  if (heard.length == 2) { window.transport = socket.io.engine.transport.name; document.title = heard.join("; "); }
});
</script>"""

application = Flask(__name__)
socketio = SocketIO(application, async_mode="threading")


@application.route("/")
def page() -> str:
    return PAGE


@application.route("/client.js")
def client() -> Response:
    return Response((Path(__file__).parent / "socket.io.min.js").read_text(), mimetype="text/javascript")


@socketio.on("echo")
def echo(data: Any) -> None:
    emit("echoed", data)
