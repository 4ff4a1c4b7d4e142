"""Applications by path, and the hooks of one that has WebSockets."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from ...transports.handover import Environ, StartResponse
from .exceptions import WebSocketError
from .protocols.base import BaseProtocol
from .websocket import WebSocket

__all__ = ["Resource", "WebSocketApplication"]


class WebSocketApplication:
    """Serve one WebSocket by hooks, to be overridden; as it is it sends back what comes."""

    protocol_class: type[BaseProtocol] = BaseProtocol

    def __init__(self, ws: WebSocket) -> None:
        self.ws = ws
        self.protocol = self.protocol_class(self)

    def handle(self) -> None:
        """Serve it to its end; ``on_message(None)`` says that there are no more messages."""
        self.protocol.on_open()
        try:
            while True:
                try:
                    message = self.ws.receive()
                except WebSocketError:
                    break
                if message is not None:
                    self.protocol.on_message(message)
                    continue
                with suppress(WebSocketError):  # who answers each message answers this one as well
                    self.protocol.on_message(None)
        finally:
            self.protocol.on_close()

    def on_open(self, *args: Any, **kwargs: Any) -> None:
        """Be called once, at the beginning."""

    def on_close(self, *args: Any, **kwargs: Any) -> None:
        """Be called once, at the end, whatever `on_message` has raised."""

    def on_message(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """Be called with each message, None behind the last one."""
        if message is not None:
            self.ws.send(message, **kwargs)

    @classmethod
    def protocol_name(cls) -> str:
        """Return the subprotocol that this speaks, ``""`` for none."""
        return cls.protocol_class.PROTOCOL_NAME


class Resource:
    """Choose an application by the path: the first regular expression that matches its beginning.

    ``apps`` are pairs of that and a WSGI application, or a subclass of `WebSocketApplication`, which gets
    only requests for WebSockets; or an ordered dict.
    """

    def __init__(self, apps: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        if isinstance(apps, dict) and not isinstance(apps, OrderedDict):
            warnings.warn("the first path that matches is chosen: give a list of pairs", UserWarning, stacklevel=2)
        pairs = apps.items() if isinstance(apps, Mapping) else apps or ()
        self.apps: list[tuple[str, Any]] = list(pairs)

    def _is_websocket_app(self, app: Any) -> bool:
        return isinstance(app, type) and issubclass(app, WebSocketApplication)

    def _app_by_path(self, environ_path: str, is_websocket_request: bool) -> Any:
        for path, app in self.apps:
            if re.match(path, environ_path) and is_websocket_request == self._is_websocket_app(app):
                return app
        return None

    def app_protocol(self, path: str) -> str:
        """Return the subprotocol of the application that gets a WebSocket for this path."""
        app = self._app_by_path(path, True)
        return str(app.protocol_name()) if hasattr(app, "protocol_name") else ""

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Be the application."""
        ws = environ.get("wsgi.websocket")
        found = self._app_by_path(environ["PATH_INFO"], ws is not None)
        if found is None:
            if ws is not None:
                ws.close(1008, f"No WebSocket at {environ['PATH_INFO']}"[:100])
                return []
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"Not found\n"]
        if ws is None:
            answer: Iterable[bytes] = found(environ, start_response)
            return answer
        application = found(ws)
        application.ws = ws
        ws.current_app = application
        application.handle()
        return []
