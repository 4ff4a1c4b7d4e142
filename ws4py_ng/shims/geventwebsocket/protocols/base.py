"""The subprotocol that is none."""

from __future__ import annotations

from typing import Any

__all__ = ["BaseProtocol"]


class BaseProtocol:
    """Hand on to an application's hooks what comes; to be overridden."""

    PROTOCOL_NAME = ""

    def __init__(self, app: Any) -> None:
        self._app = app

    def on_open(self) -> None:
        """Be called once, at the beginning."""
        self.app.on_open()

    def on_message(self, message: Any) -> None:
        """Be called with each message, None behind the last one."""
        self.app.on_message(message)

    def on_close(self, reason: str | None = None) -> None:
        """Be called once, at the end."""
        self.app.on_close(reason)

    @property
    def app(self) -> Any:
        """The application. Raises RuntimeError if there is none."""
        if self._app is None:
            raise RuntimeError(f"{type(self).__name__} has no application")
        return self._app

    @property
    def server(self) -> Any:
        """The server, None before there is a WebSocket."""
        handler = self.handler
        return None if handler is None else handler.server

    @property
    def handler(self) -> Any:
        """The server's handler of this connection, None before there is one."""
        ws = getattr(self.app, "ws", None)
        return None if ws is None else ws.handler
