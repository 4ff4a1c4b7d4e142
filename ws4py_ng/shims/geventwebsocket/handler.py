"""The handler that gives gevent's server WebSockets."""

from __future__ import annotations

import logging
from typing import Any

from ...codes import INTERNAL_ERROR
from ...exc import HandshakeError
from ...handshake import refuse
from ...limits import MIB, Limits
from ...server.acceptor import Acceptor
from ...server.conversation import Connection, Conversation, converse
from ...server.crew import CREW_KEY
from ...transports.gevent_kit import pywsgi
from .logging import create_logger
from .websocket import WebSocket

__all__ = ["Client", "WebSocketHandler"]

HOP_BY_HOP = ("connection", "upgrade", "content-length")


class Client:
    """Hold a connected client, as ``server.clients`` has it."""

    def __init__(self, address: Any, ws: WebSocket) -> None:
        self.address = address
        self.ws = ws


class WebSocketHandler(pywsgi.WSGIHandler):
    """Open a WebSocket where a request asks for one, and call the application with it in its environ.

    With ``prevent_wsgi_call`` the application is not called: `websocket` is there for whoever called
    `run_application`, and is to be ended by `end_websocket`. ``limits`` may be set in a subclass.
    """

    SUPPORTED_VERSIONS = ("13",)
    GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    prevent_wsgi_call = False
    limits = Limits(max_message_size=16 * MIB)

    environ: dict[str, Any]
    application: Any
    websocket: WebSocket | None = None
    _conversation: Conversation | None = None

    def run_application(self) -> None:
        """Answer one request."""
        hook = getattr(self.server, "pre_start_hook", None)
        if (hook is not None and hook(self)) or not self._asks_for_websocket():
            super().run_application()
            return
        refusal = self.upgrade_websocket()
        if refusal is None:
            self.run_websocket()
            return
        answer = refuse(refusal)
        headers = [pair for pair in answer.headers.items() if pair[0].lower() not in HOP_BY_HOP]
        self.start_response(answer.status_text, headers)
        self.close_connection = True
        self.result = [answer.body]
        self.process_result()

    def _asks_for_websocket(self) -> bool:
        environ = self.environ
        options = [each.strip() for each in environ.get("HTTP_CONNECTION", "").lower().split(",")]
        upgrade = environ.get("HTTP_UPGRADE", "").strip().lower()
        return environ.get("REQUEST_METHOD") == "GET" and upgrade == "websocket" and "upgrade" in options

    def upgrade_websocket(self) -> HandshakeError | None:
        """Open a WebSocket, and put it into the environ; return why not."""
        environ = self.environ
        crew = getattr(self.server, "crew", None)
        if crew is not None:
            environ[CREW_KEY] = crew
        find = getattr(self.application, "app_protocol", None)
        protocol = find(environ["PATH_INFO"]) if find is not None else None
        acceptor = Acceptor(
            handlers=Connection, protocols=[protocol] if protocol else (), origins=["*"], limits=self.limits
        )
        try:
            self._conversation = converse(environ, acceptor)
        except HandshakeError as error:
            self.logger.warning("%s", error)
            return error
        self.status, self.headers_sent, self.close_connection = "101 Switching Protocols", True, True
        self.websocket = WebSocket(environ, self._conversation, self)
        environ["wsgi.websocket"] = self.websocket
        environ["wsgi.websocket_version"] = self.websocket.version
        return None

    def run_websocket(self) -> None:
        """Call the application; when it returns, the WebSocket is closed."""
        if self.prevent_wsgi_call or self.websocket is None:
            return
        if not hasattr(self.server, "clients"):
            self.server.clients = {}
        clients = self.server.clients
        clients[self.client_address] = Client(self.client_address, self.websocket)
        code = INTERNAL_ERROR
        try:
            # What it answers is of no interest: the connection speaks another protocol now.
            list(self.application(self.environ, lambda status, headers, exc_info=None: lambda data: None) or ())
            code = 1000
        finally:
            del clients[self.client_address]
            self.end_websocket(code)

    def end_websocket(self, code: int = 1000) -> None:
        """Close the WebSocket, and wait for its end."""
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.end(code)
            conversation.leave()
        self.environ["wsgi.websocket"] = self.websocket = None

    @property
    def logger(self) -> logging.Logger:
        """The server's logger."""
        if not hasattr(self.server, "logger"):
            self.server.logger = create_logger(__name__)
        logger: logging.Logger = self.server.logger
        return logger

    def log_request(self) -> None:
        """Log a request, unless a WebSocket came of it."""
        if "101" not in str(self.status):
            self.logger.info(self.format_request())

    @property
    def active_client(self) -> Client:
        """The client of this connection."""
        client: Client = self.server.clients[self.client_address]
        return client
