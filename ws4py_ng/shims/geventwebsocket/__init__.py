"""gevent-websocket, over this package.

    WebSocketServer(("", 8000), Resource([("/echo", EchoApplication)])).serve_forever()

Under gevent.pywsgi with `handler.WebSocketHandler`, and gunicorn with ``gunicorn.workers``. An application
finds its `websocket.WebSocket` in ``environ["wsgi.websocket"]``. docs/migrating/gevent-websocket.md says
what differs.
"""

from __future__ import annotations

from .exceptions import WebSocketError
from .resource import Resource, WebSocketApplication
from .server import WebSocketServer
from .utils import VERSION, get_version

__all__ = ["VERSION", "Resource", "WebSocketApplication", "WebSocketError", "WebSocketServer", "get_version"]
