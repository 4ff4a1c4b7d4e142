"""WebSockets under gevent: gevent's WSGI server, with one greenlet more for each of them.

    server = WSGIServer(("127.0.0.1", 9000), WebSocketWSGIApplication(handler_cls=EchoWebSocket))
    server.serve_forever()

Nothing needs to be monkey-patched. `stop` closes every WebSocket with 1001.
`ws4py_ng.server.wsgi.WebSocketApplication` serves several classes, and an application beside
them; it does under gevent's own server as well, but nobody closes what is open there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..codes import DRAIN_REASON, GOING_AWAY
from ..transports.gevent_kit import Greenlet, Pool, adopt, close_all, pywsgi, serve
from ..transports.handover import read_ahead
from ..websocket import WebSocket
from .wsgiutils import SOCKET_KEYS, WEBSOCKET_KEYS, WebSocketWSGIApplication

__all__ = ["GEventWebSocketPool", "WSGIServer", "WebSocketWSGIApplication", "WebSocketWSGIHandler"]

logger = logging.getLogger("ws4py_ng")


class GEventWebSocketPool(Pool):
    """Serve WebSockets, a greenlet for each, and close them all by `clear`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._websockets: dict[int, Any] = {}

    def track(self, websocket: Any) -> Greenlet:
        """Serve a WebSocket in a greenlet of its own, and return that."""
        adopt(websocket)
        return self.spawn(self._serve, websocket)

    def _serve(self, websocket: Any) -> None:
        self._websockets[id(websocket)] = websocket
        try:
            serve(websocket)
        finally:
            del self._websockets[id(websocket)]

    def clear(self) -> None:
        """Begin the closing handshake with every peer, by 1001; their greenlets then end."""
        logger.info("Closing all websockets with [%d] '%s'", GOING_AWAY, DRAIN_REASON)
        close_all(list(self._websockets.values()))


# Of WebSockets under a server that has no pool for them.
_homeless = GEventWebSocketPool()


class WebSocketWSGIHandler(pywsgi.WSGIHandler):
    """Lend the socket to the application when a WebSocket is asked for, and run what it makes.

    See `wsgiutils` for what the application has to do. A ``server`` that has a
    `GEventWebSocketPool` as its ``pool`` or ``websocket_pool`` keeps the WebSockets there.
    """

    environ: dict[str, Any]
    application: Any

    def run_application(self) -> None:
        """Run the application for one request."""
        upgrade = str(self.environ.get("HTTP_UPGRADE", "")).lower()
        if "websocket" in (token.strip() for token in upgrade.split(",")):
            self.environ.update(dict.fromkeys(SOCKET_KEYS, self.socket))
            self.application = self._upgrading(self.application)
        super().run_application()

    def _upgrading(self, application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def upgrade(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            result = application(environ, start_response)
            for key in SOCKET_KEYS:
                environ.pop(key, None)
            left = [environ.pop(key, None) for key in WEBSOCKET_KEYS]
            websocket = next((each for each in left if each is not None), None)
            if websocket is None:
                return result
            # Here, not behind us: a list that is returned would get a Content-Length into the 101.
            self.write(b"")
            self.close_connection = True
            self._run_websocket(websocket)
            return result

        return upgrade

    def _run_websocket(self, websocket: Any) -> None:
        ahead = read_ahead(self.rfile, self.socket)
        if ahead and isinstance(websocket, WebSocket):
            websocket._tap.received(ahead)
            websocket._stream._reader.feed(ahead)
        pools = (getattr(self.server, name, None) for name in ("websocket_pool", "pool"))
        pool: Any = next((each for each in pools if hasattr(each, "track")), _homeless)
        greenlet = pool.track(websocket)
        try:
            # gevent closes the socket when we return.
            greenlet.join()
        except BaseException:
            greenlet.kill()
            raise


class WSGIServer(pywsgi.WSGIServer):
    """Serve plain WSGI and WebSockets; the parameters are gevent's.

    ``pool`` holds the WebSockets, unless ``spawn`` is a pool for all connections: that is it
    then, and ``websocket_pool`` holds the WebSockets.
    """

    handler_class = WebSocketWSGIHandler
    pool: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.websocket_pool = GEventWebSocketPool()
        if self.pool is None:
            self.pool = self.websocket_pool

    def stop(self, timeout: float | None = None) -> None:
        """Accept no more, close every WebSocket with 1001, and wait ``timeout`` seconds at most
        (``stop_timeout``, 1 s) for peers to answer; then cut them off."""
        self.close()
        timeout = self.stop_timeout if timeout is None else timeout
        self.websocket_pool.clear()
        self.websocket_pool.join(timeout=timeout)
        self.websocket_pool.kill(timeout=timeout)
        super().stop(timeout=timeout)
