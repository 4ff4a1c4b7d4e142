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

PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>0</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; }
  canvas { width: 100%; height: 14rem; border: 1px solid #8886; border-radius: 8px; color: #3b82f6; }
</style>
<h1>A hundred numbers</h1>
<canvas role="img" aria-label="The last fifty numbers"></canvas>
<p role="status">connecting</p>
<script>
const canvas = document.querySelector("canvas"), pen = canvas.getContext("2d"), numbers = [];
const say = text => { document.querySelector("p").textContent = text; };
const socket = new WebSocket(location.href.replace("http", "ws") + "data");

function draw() {
  const { width, height } = canvas.getBoundingClientRect(), scale = devicePixelRatio;
  canvas.width = width * scale;  // which empties it
  canvas.height = height * scale;
  pen.scale(scale, scale);
  pen.font = "12px system-ui";
  const x = index => 32 + index * (width - 48) / 49, y = value => height / 2 - value * (height / 2 - 16);
  pen.strokeStyle = "#8886";
  pen.fillStyle = "#888";
  for (const value of [-1, 0, 1]) {
    pen.strokeRect(32, y(value), width - 48, 0);
    pen.fillText(value, 12, y(value) + 4);
  }
  pen.strokeStyle = pen.fillStyle = getComputedStyle(canvas).color;
  pen.lineWidth = 2;
  pen.beginPath();
  const shown = numbers.slice(-50);
  shown.forEach((value, index) => pen.lineTo(x(index), y(value)));
  pen.stroke();
  pen.beginPath();
  pen.arc(x(shown.length - 1), y(shown.at(-1)), 4, 0, 7);
  pen.fill();
}

socket.onmessage = message => {
  numbers.push(JSON.parse(message.data)[1]);
  draw();
  document.title = numbers.length;
  say(`${numbers.length} of 100, the last ${numbers.at(-1).toFixed(3)}`);
};
socket.onclose = close => { say("closed: " + close.code); };
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
