"""A producer that pushes a counter to every page: ``python example/counter_producer.py [PORT]``.

The producer counts in a thread of its own and knows no browser. Whoever opens the page sees where it is.
"""

from __future__ import annotations

import logging
import sys
import threading

from flask import Flask
from werkzeug.serving import make_server

from ws4py_ng.pubsub import Hub
from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.websocket import WebSocket

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>counter</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  output { font-size: 5rem; font-variant-numeric: tabular-nums; line-height: 1.2; color: #3b82f6; }
</style>
<h1>A counter that is pushed</h1>
<output>waiting</output>
<p role="status">connecting</p>
<script>
const say = text => { document.querySelector("p").textContent = text; };
const socket = new WebSocket(location.href.replace("http", "ws") + "counter");
socket.onopen = () => { say("Every page that is open sees the same number."); };
socket.onmessage = message => { document.querySelector("output").textContent = message.data; };
socket.onclose = close => { say("closed: " + close.code); };
</script>"""

app = Flask(__name__)
hub = Hub(history=1)
is_over = threading.Event()


class Viewer(WebSocket):
    """See the last number at once, and each that comes."""

    def opened(self) -> None:
        hub.subscribe(self, "counter")


def produce() -> None:
    """Count, ten times a second."""
    number = 0
    while not is_over.wait(0.1):
        number += 1
        hub.publish("counter", str(number))


@app.route("/")
def index() -> str:
    """Be the page."""
    return PAGE


app.wsgi_app = WebSocketApplication({"/counter": Viewer}, app=app.wsgi_app)  # type: ignore[method-assign]


def main() -> None:
    """Serve until Ctrl-C."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000, app, threaded=True)
    producer = threading.Thread(target=produce)
    producer.start()
    print(f"listening on http://127.0.0.1:{server.port}/", flush=True)
    try:
        server.serve_forever()
    finally:
        is_over.set()
        producer.join()
        hub.close()


if __name__ == "__main__":
    main()
