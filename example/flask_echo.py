"""An echo in a view of Flask, with a page: ``python example/flask_echo.py [PORT]``.

A program of simple-websocket with another import: the view receives and sends in its own thread.
`flask_chat.py` needs no thread for an open WebSocket.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

from flask import Flask, request
from werkzeug.serving import make_server

from ws4py_ng.shims.simple_websocket import ConnectionClosed, Server

PAGE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>echo</title>
<form><input aria-label="Message"><button>Send</button></form><ul></ul>
<script>
const form = document.querySelector("form"), list = document.querySelector("ul");
const socket = new WebSocket(location.href.replace("http", "ws") + "echo");
socket.onmessage = message => { list.appendChild(document.createElement("li")).textContent = message.data; };
socket.onclose = close => { document.title = "closed: " + close.code; };
form.onsubmit = event => {
  event.preventDefault();
  const text = form.querySelector("input").value;
  text ? socket.send(text) : socket.close(1000);
};
</script>"""

app = Flask(__name__)


@app.route("/")
def index() -> str:
    """Be the page."""
    return PAGE


@app.route("/echo", websocket=True)
def echo() -> str:
    """Send back what comes."""
    ws = Server.accept(request.environ)
    with suppress(ConnectionClosed):
        while True:
            ws.send(ws.receive())
    return ""


def main() -> None:
    """Serve until Ctrl-C."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000, app, threaded=True)
    print(f"listening on http://127.0.0.1:{server.port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
