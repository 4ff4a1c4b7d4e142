"""The CherryPy that the tests talk to: ``python -m test.server.cherrypy_site [OPTION ...]``."""

from __future__ import annotations

import argparse
import sys
import threading

import cherrypy

from ws4py_ng.limits import Limits
from ws4py_ng.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py_ng.websocket import EchoWebSocket

from .wsgi_hosts import SHORT

ONE_PAGE = threading.Event()


class Site:
    """Be the pages."""

    @cherrypy.expose
    def page(self) -> str:
        return "a page"

    @cherrypy.expose
    def say(self) -> str:
        cherrypy.engine.publish("websocket-broadcast", "news")
        return "said"

    @cherrypy.expose
    def restart(self) -> str:
        ONE_PAGE.set()
        return "soon"

    @cherrypy.expose
    def ws(self, do: str = "", q: str = "") -> str | None:
        handler = cherrypy.request.ws_handler
        if do == "refuse":
            raise cherrypy.HTTPError(403, "not here")
        if do == "fail":
            raise LookupError("the page fails")
        if do == "greet":
            handler.send("welcome, whoever you are")
        return "not to be seen" if do == "return" else None

    @cherrypy.expose
    def beating(self) -> None: ...


def announce_starts() -> None:
    """Say where we listen, each time that the engine has started.

    Not at its "start": a SIGTERM that comes before its last listener has returned ends CherryPy with status 70.
    """
    is_fresh = False

    def note_start() -> None:
        nonlocal is_fresh
        is_fresh = True

    def look() -> None:
        nonlocal is_fresh
        if is_fresh and cherrypy.engine.state == cherrypy.engine.states.STARTED:
            is_fresh = False
            sys.stdout.write(f"listening on {cherrypy.server.httpserver.bind_addr[1]}\n")
            sys.stdout.flush()

    cherrypy.engine.subscribe("start", note_start, priority=90)
    cherrypy.engine.subscribe("main", look)


def restart() -> None:
    """Stop and start the engine, when the page says so."""
    ONE_PAGE.wait()
    cherrypy.engine.stop()
    cherrypy.engine.start()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--port", type=int, default=0)
    for flag in ("--restart", "--no-plugin", "--log"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    if not options.no_plugin:
        WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    settings = {
        "server.socket_host": "127.0.0.1",
        "server.socket_port": options.port,
        "server.socket_timeout": SHORT,
        "server.thread_pool": 4,
        "engine.autoreload.on": False,
        "log.screen": options.log,
        "log.error_file": "/dev/stderr" if not options.log else "",
    }
    if options.tls:
        certificate, key = options.tls
        settings |= {"server.ssl_module": "builtin", "server.ssl_certificate": certificate}
        settings |= {"server.ssl_private_key": key}
    cherrypy.config.update(settings)
    announce_starts()
    common = {
        "tools.websocket.on": True,
        "tools.websocket.handler_cls": EchoWebSocket,
        "tools.websocket.protocols": ["v2", "v1"],
        "tools.websocket.limits": Limits(ping_interval=None),
    }
    config = {"/ws": common, "/beating": {**common, "tools.websocket.heartbeat_freq": 0.1}}
    if options.restart:
        threading.Thread(target=restart, daemon=True).start()
    cherrypy.quickstart(Site(), "/", config)


if __name__ == "__main__":
    main()
