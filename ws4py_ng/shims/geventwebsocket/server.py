"""gevent's WSGI server, with WebSockets."""

from __future__ import annotations

import logging
from typing import Any

from ...server.crew import Crew
from ...transports.gevent_kit import pywsgi
from .handler import Client, WebSocketHandler
from .logging import create_logger

__all__ = ["WebSocketServer"]

DEBUG_FORMAT = "%(levelname)s in %(module)s [%(pathname)s:%(lineno)d]: %(message)s"


class WebSocketServer(pywsgi.WSGIServer):
    """Serve an application at ``listener``; the parameters are gevent's, and:

    ``debug`` logs everything on standard error. ``pre_start_hook(handler)`` says, when it returns something
    true, that a request is plain HTTP. ``clients`` has a `Client` for each address. `stop` closes every
    WebSocket with 1001.
    """

    handler_class = WebSocketHandler

    def __init__(self, *args: Any, **options: Any) -> None:
        self.debug: bool = options.pop("debug", False)
        self.pre_start_hook: Any = options.pop("pre_start_hook", None)
        self.clients: dict[Any, Client] = {}
        self.crew = Crew()
        self._logger: logging.Logger | None = None
        super().__init__(*args, **options)

    @property
    def logger(self) -> logging.Logger:
        """The server's logger."""
        if self._logger is None:
            self._logger = create_logger(__name__, self.debug, DEBUG_FORMAT)
        return self._logger

    def stop(self, timeout: float | None = None) -> None:
        """Accept no more, close every WebSocket with 1001, and wait ``timeout`` seconds at most."""
        self.close()
        timeout = self.stop_timeout if timeout is None else timeout
        self.crew.close_all(timeout)
        super().stop(timeout=timeout)
