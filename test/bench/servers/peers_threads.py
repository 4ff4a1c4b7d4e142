"""Others' servers in threads."""

from __future__ import annotations

from typing import Any

from ..setup import MAX_MESSAGE, Setup, announce
from .ours_threads import run_cherrypy, run_werkzeug


def websockets_(setup: Setup) -> None:
    """Serve by the threads of websockets."""
    from websockets.sync.server import serve

    def echo(ws: Any) -> None:
        for message in ws:
            ws.send(message)

    options: dict[str, Any] = {"sock": setup.listen(), "ssl": setup.tls(), "ping_interval": None}
    compression = "deflate" if setup.deflate else None
    with serve(echo, compression=compression, max_size=MAX_MESSAGE, **options) as server:
        server.serve_forever()


def simple(setup: Setup) -> None:
    """Serve by simple-websocket under Werkzeug."""
    from simple_websocket import ConnectionClosed, Server

    def application(environ: Any, start_response: Any) -> list[bytes]:
        ws = Server.accept(environ, max_message_size=MAX_MESSAGE)
        try:
            while True:
                ws.send(ws.receive())
        except ConnectionClosed:
            return []

    run_werkzeug(application, setup)


def ws4py_echo() -> type[Any]:
    """Make the class that echoes for ws4py, as its documentation does."""
    from ws4py.websocket import WebSocket

    class Echo(WebSocket):  # type: ignore[misc]
        def received_message(self, message: Any) -> None:
            self.send(message.data, message.is_binary)

    return Echo


def ws4py_cherrypy(setup: Setup) -> None:
    """Serve by ws4py beside CherryPy's pages."""
    import cherrypy
    from ws4py.server.cherrypyserver import WebSocketPlugin, WebSocketTool

    run_cherrypy(cherrypy, WebSocketPlugin, WebSocketTool, ws4py_echo(), setup, {})


def ws4py_wsgiref(setup: Setup) -> None:
    """Serve by ws4py's manager behind wsgiref."""
    from wsgiref.simple_server import make_server

    from ws4py.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
    from ws4py.server.wsgiutils import WebSocketWSGIApplication

    application = WebSocketWSGIApplication(handler_cls=ws4py_echo())
    server = make_server(
        "127.0.0.1", setup.port, server_class=WSGIServer, handler_class=WebSocketWSGIRequestHandler, app=application
    )
    server.initialize_websockets_manager()
    announce(server.server_port)
    server.serve_forever()
