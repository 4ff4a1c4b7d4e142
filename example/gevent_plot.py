"""A hundred numbers, and a plot that moves as they come: ``python example/gevent_plot.py [PORT]``.

A program of gevent-websocket with another import: a `Resource` of a page and an application.
"""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import gevent

from ws4py_ng.shims.geventwebsocket import Resource, WebSocketApplication, WebSocketError, WebSocketServer

NUMBERS = 100

PAGE = b"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>0</title>
<canvas width="600" height="200" style="border: 1px solid"></canvas><p></p>
<script>
const canvas = document.querySelector("canvas"), pen = canvas.getContext("2d"), numbers = [];
const socket = new WebSocket(location.href.replace("http", "ws") + "data");
socket.onmessage = message => {
  numbers.push(JSON.parse(message.data)[1]);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.beginPath();
  numbers.slice(-50).forEach((value, index) => pen.lineTo(index * 12, 100 - 90 * value));
  pen.stroke();
  document.title = numbers.length;
};
socket.onclose = close => { document.querySelector("p").textContent = "closed: " + close.code; };
</script>"""


class Plot(WebSocketApplication):
    """Send the numbers, one after the other."""

    def on_open(self) -> None:
        gevent.spawn(self.draw)

    def draw(self) -> None:
        """Send from a greenlet of its own, so that what the browser says is heard meanwhile."""
        try:
            for number in range(NUMBERS):
                self.ws.send(json.dumps([number, math.sin(number / 8)]))
                gevent.sleep(0.02)
            self.ws.close()
        except WebSocketError:
            pass  # the browser has left


def page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Be the page."""
    start_response("200 OK", [("Content-Type", "text/html")])
    return [PAGE]


def main() -> None:
    """Serve until Ctrl-C, or SIGTERM."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    server = WebSocketServer(("127.0.0.1", port), Resource([("^/data$", Plot), ("^/$", page)]))
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, server.stop)
    print(f"listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
