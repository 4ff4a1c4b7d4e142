"""``gunicorn -k ws4py_ng.shims.geventwebsocket.gunicorn.workers.GeventWebSocketWorker``."""

from __future__ import annotations

from gunicorn.workers.ggevent import GeventPyWSGIWorker

from ..handler import WebSocketHandler

__all__ = ["GeventWebSocketWorker"]


class GeventWebSocketWorker(GeventPyWSGIWorker):
    """Serve by gevent, with WebSockets in ``environ["wsgi.websocket"]``."""

    wsgi_handler = WebSocketHandler
