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

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>echo</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  form { display: flex; gap: .5rem; }
  input, button { font: inherit; padding: .4rem .7rem; border: 1px solid #8886; border-radius: 8px; }
  input { flex: 1; min-width: 0; }
  button { color: white; background: #2563eb; }
  li { overflow-wrap: anywhere; }
</style>
<h1>An echo in a view of Flask</h1>
<form><input aria-label="Message" placeholder="A message; nothing closes" autofocus><button>Send</button></form>
<p role="status">connecting</p>
<ul></ul>
<script>
const form = document.querySelector("form"), input = document.querySelector("input");
const list = document.querySelector("ul"), say = text => { document.querySelector("p").textContent = text; };
const socket = new WebSocket(location.href.replace("http", "ws") + "echo");
socket.onopen = () => { say("connected"); };
socket.onmessage = message => { list.appendChild(document.createElement("li")).textContent = message.data; };
socket.onclose = close => { say(document.title = "closed: " + close.code); };
form.onsubmit = event => {
  event.preventDefault();
  input.value ? socket.send(input.value) : socket.close(1000);
  input.value = "";
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
