"""A chat and a page in one CherryPy: ``python example/cherrypy_chat.py [PORT]``.

Who connects with ``?name=Ada`` is called so. What the page ``/say?text=...`` is asked to say goes
to everybody, over the bus.
"""

from __future__ import annotations

import sys

import cherrypy

from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.server.cherrypyserver import WebSocketPlugin, WebSocketTool
from ws4py_ng.websocket import WebSocket


class Chat(WebSocket):
    """Pass every message on to everybody."""

    name = "somebody"

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        cherrypy.engine.publish("websocket-broadcast", f"{self.name}: {message}")


class Site:
    """Be the pages."""

    @cherrypy.expose
    def index(self) -> str:
        return "This is a chat."

    @cherrypy.expose
    def say(self, text: str) -> str:
        cherrypy.engine.publish("websocket-broadcast", f"page: {text}")
        return "said"

    @cherrypy.expose
    def ws(self, name: str = "somebody") -> None:
        """Run before the connection is a WebSocket: it may still be refused."""
        if name == "nobody":
            raise cherrypy.HTTPError(403, "Nobody is not a name")
        cherrypy.request.ws_handler.name = name


def announce() -> None:
    """Say where we listen: a port of 0 is any free one."""
    print(f"listening on ws://127.0.0.1:{cherrypy.server.httpserver.bind_addr[1]}/ws", flush=True)


def main() -> None:
    """Serve until Ctrl-C."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    cherrypy.config.update({"server.socket_host": "127.0.0.1", "server.socket_port": port, "log.screen": False})
    WebSocketPlugin(cherrypy.engine).subscribe()
    cherrypy.tools.websocket = WebSocketTool()
    cherrypy.engine.subscribe("start", announce, priority=90)
    config = {"/ws": {"tools.websocket.on": True, "tools.websocket.handler_cls": Chat}}
    cherrypy.quickstart(Site(), "/", config)


if __name__ == "__main__":
    main()
