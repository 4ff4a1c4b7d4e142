"""The server of the contract's row for CherryPy: ``python -m test.transports.cherrypy_site``."""

from __future__ import annotations

import os
from typing import Any

import cherrypy

from test.server.cherrypy_site import announce_starts
from test.server.wsgi_hosts import CERTIFICATE, KEY, SHORT
from ws4py_ng.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py_ng.server.seats import MAX_CONNECTIONS

from .contract import Options
from .diary import watch_logs
from .handlers import routes
from .rows_wsgi import OPTIONS


def main() -> None:
    """Serve until SIGTERM."""
    options = Options.from_json(os.environ[OPTIONS])
    watch_logs()
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    common = {
        "tools.websocket.on": True,
        "tools.websocket.protocols": list(options.protocols),
        "tools.websocket.origins": list(options.origins),
        "tools.websocket.deflate": options.deflate,
        "tools.websocket.heartbeat_freq": options.heartbeat_freq,
        "tools.websocket.limits": options.all_limits,
        "tools.websocket.max_connections": options.max_connections or MAX_CONNECTIONS,
    }

    def page(**query: Any) -> None:
        for name, value in options.headers:
            cherrypy.response.headers[name] = value

    page.exposed = True  # type: ignore[attr-defined]
    served = routes("threads")
    names = [path.strip("/") for path in served]
    root = type("Root", (), {name.replace("-", "_"): staticmethod(page) for name in names})()
    config = {path: {**common, "tools.websocket.handler_cls": handler} for path, handler in served.items()}
    settings = {
        "server.socket_host": "127.0.0.1",
        "server.socket_port": 0,
        "server.socket_timeout": SHORT,
        "server.thread_pool": 4,
        "engine.autoreload.on": False,
        "log.screen": False,
    }
    if options.tls:
        files = {"server.ssl_certificate": os.environ[CERTIFICATE], "server.ssl_private_key": os.environ[KEY]}
        settings |= {"server.ssl_module": "builtin", **files}
    cherrypy.config.update(settings)
    announce_starts()
    cherrypy.quickstart(root, "/", config)


if __name__ == "__main__":
    main()
