"""Scenes that only gevent's server has: ``python -m test.server.gevent_scenes SCENE``. It imports gevent late."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ws4py_ng.websocket import EchoWebSocket, WebSocket

SCENES: dict[str, Callable[[], None]] = {}


def scene(function: Callable[[], None]) -> Callable[[], None]:
    """Register a scene."""
    SCENES[function.__name__] = function
    return function


def client_of(server: Any) -> Any:
    """Connect a client that has been answered once."""
    from ws4py_ng.client.geventclient import WebSocketClient

    client = WebSocketClient(f"ws://127.0.0.1:{server.server_port}/")
    client.connect()
    client.send("x")
    assert "x" == str(client.receive())
    return client


def echo_server(port: int = 0, **options: Any) -> Any:
    """Start a server as ws4py's users do."""
    from ws4py_ng.server.geventserver import WebSocketWSGIApplication, WSGIServer

    application = WebSocketWSGIApplication(handler_cls=EchoWebSocket)
    server = WSGIServer(("127.0.0.1", port), application, log=None, **options)
    server.start()
    return server


@scene
def ws4pys_names_are_there_and_the_pool_counts() -> None:
    """Count the greenlets in the pool of the server."""
    from ws4py_ng.server.geventserver import GEventWebSocketPool

    server = echo_server()
    assert isinstance(server.pool, GEventWebSocketPool)
    clients = [client_of(server) for _ in range(3)]
    assert 3 == len(server.pool)
    server.stop()
    for client in clients:
        client.run_forever()
    assert 0 == len(server.pool)


@scene
def a_pool_for_all_connections_still_bounds_them() -> None:
    """``spawn`` may be a number, as gevent has it."""
    import gevent

    server = echo_server(spawn=2)
    clients = [client_of(server) for _ in range(2)]
    assert server.full()
    third = gevent.spawn(client_of, server)
    assert not third.ready()
    clients[0].close()
    clients[0].run_forever()
    client = third.get(timeout=20)
    server.stop()
    for each in (clients[1], client):
        each.run_forever()


@scene
def it_can_be_started_again() -> None:
    """Serve anew, when a server was stopped."""
    server = echo_server()
    port = server.server_port
    client = client_of(server)
    server.stop()
    client.run_forever()
    again = echo_server(port=port)
    assert port == again.server_port
    client = client_of(again)
    again.stop()
    client.run_forever()


@scene
def a_server_of_another_kind_may_use_handler_and_pool() -> None:
    """Keep WebSockets in the pool of whatever server there is, or in a pool of our own."""
    from gevent.pywsgi import WSGIServer

    from ws4py_ng.server.geventserver import GEventWebSocketPool, WebSocketWSGIApplication, WebSocketWSGIHandler

    application = WebSocketWSGIApplication(handler_cls=EchoWebSocket)
    for pool in (GEventWebSocketPool(), None):
        server = WSGIServer(("127.0.0.1", 0), application, handler_class=WebSocketWSGIHandler, log=None)
        server.pool = pool
        server.start()
        client = client_of(server)
        if pool is not None:
            assert 1 == len(pool)
            pool.clear()
        else:
            client.close()
        client.run_forever()
        server.stop()


@scene
def a_websocket_of_another_make_is_run() -> None:
    """Whatever has `run` may be what the application leaves in the environ."""
    from ws4py_ng.server.geventserver import WSGIServer

    class Foreign:
        def __init__(self, sock: Any) -> None:
            self.sock = sock

        def run(self) -> None:
            self.sock.sendall(b"\x81\x01x\x88\x02\x03\xe8")

    def application(environ: Any, start_response: Any) -> Any:
        from ws4py_ng.handshake import accept_for

        environ["ws4py.websocket"] = Foreign(environ["ws4py.socket"])
        accept = accept_for(environ["HTTP_SEC_WEBSOCKET_KEY"])
        headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        start_response("101 Switching Protocols", headers)
        return []

    from ws4py_ng.client.geventclient import WebSocketClient

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    client = WebSocketClient(f"ws://127.0.0.1:{server.server_port}/")
    client.connect()
    assert ["x"] == [str(message) for message in client]
    server.stop()


@scene
def a_hook_that_fails_ends_its_own_connection_only() -> None:
    """Make 1011 of an error in a hook."""
    import logging

    from ws4py_ng.client.geventclient import WebSocketClient
    from ws4py_ng.server.geventserver import WSGIServer
    from ws4py_ng.server.wsgi import WebSocketApplication

    logging.getLogger("ws4py_ng").setLevel(logging.CRITICAL)

    class Failing(WebSocket):
        def received_message(self, message: object) -> None:
            raise LookupError

    server = WSGIServer(("127.0.0.1", 0), WebSocketApplication({"/": EchoWebSocket, "/f": Failing}), log=None)
    server.start()
    other = client_of(server)
    client = WebSocketClient(f"ws://127.0.0.1:{server.server_port}/f")
    codes: list[int] = []
    client.closed = lambda code, reason=None: codes.append(code)  # type: ignore[method-assign]
    client.connect()
    client.send("x")
    client.run_forever()
    assert [1011] == codes
    other.send("still")
    assert "still" == str(other.receive())
    with suppress(OSError):
        server.stop()
    other.run_forever()


if __name__ == "__main__":
    SCENES[sys.argv[1]]()
