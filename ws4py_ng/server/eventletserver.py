"""WebSockets under eventlet: its WSGI server, which closes them with 1001 when it stops.

    server = WSGIServer(("127.0.0.1", 9000), WebSocketApplication({"/chat": Chat}, app=site))
    server.serve_forever()

For programs that run on eventlet already: its own documentation discourages new ones.
`WebSocketApplication` serves under ``eventlet.wsgi.server`` itself, too; at the end of that,
peers see the connection end without a Close frame.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any

from ..transports.eventlet_kit import eventlet, wrap_tls_server, wsgi
from .crew import CREW_KEY, Crew
from .wsgi import WebSocketApplication

__all__ = ["WSGIServer", "WebSocketApplication"]

# How long a server that stops waits for requests that are being answered.
STOP_TIMEOUT = 1.0


class WSGIServer:
    """Serve a WSGI application at ``listener``, an address or a listening socket of eventlet.

    ``options`` are those of ``eventlet.wsgi.server``.
    """

    def __init__(
        self,
        listener: Any,
        application: Callable[..., Iterable[bytes]],
        *,
        ssl_context: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        sock = eventlet.listen(listener) if isinstance(listener, tuple) else listener
        self.address: Any = sock.getsockname()
        self._socket = sock if ssl_context is None else wrap_tls_server(sock, ssl_context)
        self._application = application
        self._crew = Crew()
        self._options = {**options, "environ": {**options.get("environ", {}), CREW_KEY: self._crew}}
        self._greenlet: Any = None

    @property
    def server_port(self) -> int:
        """The port that is listened on."""
        return int(self.address[1])

    def start(self) -> None:
        """Begin to serve, in a greenlet."""
        self._greenlet = eventlet.spawn(wsgi.server, self._socket, self._application, **self._options)

    def serve_forever(self) -> None:
        """Serve until `stop` is called, or Ctrl-C."""
        if self._greenlet is None:
            self.start()
        try:
            self._greenlet.wait()
        except eventlet.greenlet.GreenletExit:
            pass
        finally:
            self.stop()

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Close every WebSocket with 1001, wait ``timeout`` seconds at most for peers to answer
        and for requests to end, and accept no more; twice is no harm."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is None:
            return
        self._crew.close_all(timeout)
        eventlet.kill(greenlet)
        self._socket.close()
