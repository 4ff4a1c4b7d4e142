"""This project's servers in greenlets."""

from __future__ import annotations

from ..setup import Setup, announce
from .ours_loops import LIMITS, handler


def gevent_(setup: Setup) -> None:
    """Serve by gevent's server."""
    from ws4py_ng.server.geventserver import WSGIServer
    from ws4py_ng.server.wsgi import WebSocketApplication

    application = WebSocketApplication(handler(setup), deflate=setup.deflate, limits=LIMITS)
    server = WSGIServer(("127.0.0.1", setup.port), application, log=None)
    server.start()
    announce(server.server_port)
    server.serve_forever()


def eventlet_(setup: Setup) -> None:
    """Serve by eventlet's server."""
    from ws4py_ng.server.eventletserver import WebSocketApplication, WSGIServer

    application = WebSocketApplication(handler(setup), deflate=setup.deflate, limits=LIMITS)
    server = WSGIServer(("127.0.0.1", setup.port), application, log_output=False, max_size=10_000)
    announce(server.server_port)
    server.serve_forever()
