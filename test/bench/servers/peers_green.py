"""Others' servers in greenlets."""

from __future__ import annotations

from typing import Any

from ..setup import MAX_MESSAGE, Setup, announce


def gevent_websocket(setup: Setup) -> None:
    """Serve by gevent-websocket."""
    from gevent.pywsgi import WSGIServer
    from geventwebsocket.handler import WebSocketHandler

    def application(environ: Any, start_response: Any) -> list[bytes]:
        ws = environ["wsgi.websocket"]
        while (message := ws.receive()) is not None:
            ws.send(message)
        return []

    server = WSGIServer(("127.0.0.1", setup.port), application, handler_class=WebSocketHandler, log=None)
    server.start()
    announce(server.server_port)
    server.serve_forever()


def eventlet_(setup: Setup) -> None:
    """Serve by eventlet's own WebSockets."""
    import eventlet
    import eventlet.wsgi
    from eventlet.websocket import WebSocketWSGI

    def echo(ws: Any) -> None:
        while (message := ws.wait()) is not None:
            ws.send(message)

    sock = eventlet.listen(("127.0.0.1", setup.port))
    announce(sock.getsockname()[1])
    eventlet.wsgi.server(sock, WebSocketWSGI(echo, max_frame_length=MAX_MESSAGE), log_output=False)


def ws4py_gevent(setup: Setup) -> None:
    """Serve by ws4py under gevent."""
    from gevent import monkey

    monkey.patch_all()
    from ws4py.server.geventserver import WSGIServer
    from ws4py.server.wsgiutils import WebSocketWSGIApplication

    from .peers_threads import ws4py_echo

    server = WSGIServer(("127.0.0.1", setup.port), WebSocketWSGIApplication(handler_cls=ws4py_echo()), log=None)
    server.start()
    announce(server.server_port)
    server.serve_forever()
