"""This project's servers in threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..setup import Setup, announce
from .ours_loops import LIMITS, handler


def threads(setup: Setup) -> None:
    """Serve each connection in a thread."""
    from ws4py_ng.server.threadedserver import serve

    options: dict[str, Any] = {"ssl_context": setup.tls(), "deflate": setup.deflate, "limits": LIMITS}
    with serve(handler(setup), sock=setup.listen(), max_connections=10_000, **options) as server:
        server.serve_forever()


def threads_hub(setup: Setup) -> None:
    """Serve each connection in a thread, and publish by a hub."""
    threads(replace(setup, hub=True))


def manager(setup: Setup) -> None:
    """Serve all connections in the one thread of a manager, behind wsgiref."""
    from wsgiref.simple_server import make_server

    from ws4py_ng.server.wsgirefserver import WebSocketWSGIApplication, WebSocketWSGIRequestHandler, WSGIServer

    application = WebSocketWSGIApplication(handler_cls=handler(setup), deflate=setup.deflate, limits=LIMITS)
    server = make_server(
        "127.0.0.1", setup.port, server_class=WSGIServer, handler_class=WebSocketWSGIRequestHandler, app=application
    )
    server.initialize_websockets_manager()
    announce(server.server_port)
    server.serve_forever()


def cherrypy_(setup: Setup) -> None:
    """Serve beside CherryPy's pages."""
    import cherrypy

    from ws4py_ng.server.cherrypyserver import WebSocketPlugin, WebSocketTool

    options = {"deflate": setup.deflate, "limits": LIMITS}
    run_cherrypy(cherrypy, WebSocketPlugin, WebSocketTool, handler(setup), setup, options)


def run_cherrypy(
    cherrypy: Any, plugin: Any, tool: Any, handler_cls: type[Any], setup: Setup, options: dict[str, Any]
) -> None:
    """Run a CherryPy with a WebSocket at its root."""

    class Site:
        @cherrypy.expose
        def index(self) -> None:
            pass

    cherrypy.config.update(
        {
            "server.socket_host": "127.0.0.1",
            "server.socket_port": setup.port,
            "log.screen": False,
            "engine.autoreload.on": False,
        }
    )
    plugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = tool()
    cherrypy.engine.subscribe("start", lambda: announce(cherrypy.server.httpserver.bind_addr[1]), priority=90)
    config = {"tools.websocket.on": True, "tools.websocket.handler_cls": handler_cls}
    config |= {f"tools.websocket.{name}": value for name, value in options.items()}
    cherrypy.quickstart(Site(), "/", {"/": config})


def werkzeug_(setup: Setup) -> None:
    """Serve as a WSGI application under Werkzeug."""
    from ws4py_ng.server.wsgi import WebSocketApplication

    run_werkzeug(WebSocketApplication(handler(setup), deflate=setup.deflate, limits=LIMITS), setup)


def run_werkzeug(application: Any, setup: Setup) -> None:
    """Run a WSGI application under Werkzeug, a thread for each connection."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", setup.port, application, threaded=True)
    announce(server.server_port)
    server.serve_forever()
