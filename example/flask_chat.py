"""A WebSocket beside the pages of a Flask application: ``python example/flask_chat.py [PORT]``.

The same file runs under a server for production: ``gunicorn --threads 4 --chdir example flask_chat:app``.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress

from flask import Flask
from werkzeug.serving import make_server

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import WebSocket

app = Flask(__name__)
here: set[Chat] = set()


class Chat(WebSocket):
    """Pass every message on to everybody in this process."""

    def opened(self) -> None:
        here.add(self)

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        for each in list(here):
            with suppress(ConnectionClosed):  # has just left
                each.send(message.data, message.is_binary)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        here.discard(self)


@app.route("/")
def index() -> str:
    """Be a page."""
    return f"{len(here)} connected"


app.wsgi_app = WebSocketApplication({"/chat": Chat}, app=app.wsgi_app)  # type: ignore[method-assign]


def main() -> None:
    """Serve until Ctrl-C; ``flask run`` does the same."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000, app, threaded=True)
    print(f"listening on ws://127.0.0.1:{server.port}/chat", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
