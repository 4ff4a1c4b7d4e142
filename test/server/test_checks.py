"""Whoever makes a server learns what is wrong with that, by the name of the argument."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.server import asyncioserver, threadedserver
from ws4py_ng.server.acceptor import Acceptor
from ws4py_ng.server.asgi import WebSocketApplication as ASGIApplication
from ws4py_ng.server.checks import check_server
from ws4py_ng.server.wsgi import WebSocketApplication
from ws4py_ng.server.wsgiutils import WebSocketWSGIApplication
from ws4py_ng.websocket import EchoWebSocket, WebSocket

NO_HANDLER = "serves no WebSocket, expected a subclass of WebSocket, no client's, or a function"

# row: (arguments of an Acceptor, error, what it says)
AGREEMENTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    *(
        ({"handlers": handlers}, TypeError, f"handlers: {handlers!r} {NO_HANDLER}")
        for handlers in ("x", None, 5, EchoWebSocket(), int, dict, WebSocketClient, [("/", EchoWebSocket)])
    ),
    *(
        ({"handlers": {"/": handler}}, TypeError, f"handlers: {handler!r} {NO_HANDLER}")
        for handler in ("x", None, 5, int, WebSocketClient)
    ),
    ({"handlers": {"chat": EchoWebSocket}}, ValueError, "handlers has the key 'chat', expected a path such as '/chat'"),
    ({"handlers": {5: EchoWebSocket}}, ValueError, "handlers has the key 5, expected a path"),
    ({"deflate": "yes"}, TypeError, "deflate is 'yes', expected True, False or a PerMessageDeflateFactory"),
    ({"heartbeat_freq": "2"}, TypeError, "heartbeat_freq is '2', expected seconds"),
    ({"heartbeat_freq": True}, TypeError, "heartbeat_freq is True, expected seconds"),
    ({"heartbeat_freq": 0}, ValueError, "heartbeat_freq is 0, expected more than 0"),
    ({"heartbeat_freq": -1}, ValueError, "heartbeat_freq is -1, expected more than 0"),
    ({"heartbeat_freq": float("nan")}, ValueError, "heartbeat_freq is nan, expected more than 0"),
    ({"limits": None}, TypeError, "limits is None, expected ws4py_ng.limits.Limits(...)"),
    (
        {"limits": {"max_message_size": 5}},
        TypeError,
        "limits is {'max_message_size': 5}, expected ws4py_ng.limits.Limits(...)",
    ),
]
# row: (arguments of `serve`, error, what it says)
SERVERS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_connections": 0}, ValueError, "max_connections is 0, expected at least 1"),
    ({"max_connections": -1}, ValueError, "max_connections is -1, expected at least 1"),
    ({"max_connections": None}, TypeError, "max_connections is None, expected an int >= 1"),
    ({"max_connections": "x"}, TypeError, "max_connections is 'x', expected an int >= 1"),
    ({"max_connections": True}, TypeError, "max_connections is True, expected an int >= 1"),
    ({"process_request": 5}, TypeError, "process_request is 5, expected a function of a request"),
    ({"ssl_context": "cert.pem"}, TypeError, "ssl_context is 'cert.pem', expected an ssl.SSLContext"),
    ({"ssl_context": True}, TypeError, "ssl_context is True, expected an ssl.SSLContext"),
]


@pytest.mark.parametrize(("arguments", "error", "text"), AGREEMENTS, ids=lambda row: repr(row)[:40])
def test_what_no_connection_could_be_given_is_refused_at_once(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        Acceptor(**{"handlers": EchoWebSocket, "functions": "threads", **arguments})


@pytest.mark.parametrize("serve", [threadedserver.serve, asyncioserver.serve])
@pytest.mark.parametrize(("arguments", "error", "text"), SERVERS, ids=lambda row: repr(row)[:40])
def test_what_no_server_could_be_given_is_refused_at_once(
    serve: Callable[..., Any], arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        serve(EchoWebSocket, "127.0.0.1", 0, **arguments)


def test_threads_await_no_process_request() -> None:
    async def answer(request: Any) -> None:
        pass

    with pytest.raises(TypeError, match="process_request is async, but this server has threads"):
        threadedserver.serve(EchoWebSocket, "127.0.0.1", 0, process_request=answer)  # type: ignore[arg-type]


def test_trios_server_checks_as_well() -> None:
    pytest.importorskip("trio")
    from ws4py_ng.server import trioserver

    with pytest.raises(TypeError, match="process_request is 5"):
        trioserver.serve(EchoWebSocket, process_request=5)  # type: ignore[arg-type]


def test_aiohttps_handler_checks_as_well() -> None:
    pytest.importorskip("aiohttp")
    from ws4py_ng.server.aiohttp import websocket_handler

    with pytest.raises(ValueError, match="max_connections is 0"):
        websocket_handler(EchoWebSocket, max_connections=0)


@pytest.mark.parametrize("kind", [WebSocketApplication, ASGIApplication])
def test_applications_check_as_well(kind: Callable[..., Any]) -> None:
    for arguments, error, text in (*AGREEMENTS, *SERVERS[:5]):
        with pytest.raises(error, match=re.escape(text)):
            kind(**{"handlers": EchoWebSocket, **arguments})


def test_ws4pys_application_names_what_takes_paths() -> None:
    handlers: Any = {"/": EchoWebSocket}
    with pytest.raises(TypeError, match=r"handler_cls is a dict, expected a class: server\.wsgi\.WebSocketApplication"):
        WebSocketWSGIApplication(handler_cls=handlers)
    limits: Any = 5
    with pytest.raises(TypeError, match="limits is 5"):
        WebSocketWSGIApplication(limits=limits)


def test_what_makes_sense_passes() -> None:
    class Mine(EchoWebSocket):
        """Be a class of a program's own."""

        _handshake = "a name that clients have"

    def choose(request: object) -> type[WebSocket]:
        return Mine

    for handlers in (Mine, choose, {"/": Mine}, {}, {"/": lambda ws: None}):
        Acceptor(handlers=handlers, functions="threads", heartbeat_freq=0.5, deflate=PerMessageDeflateFactory())
    for off in (None, False):
        Acceptor(handlers=Mine, deflate=off, heartbeat_freq=None)
    check_server(1, print, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
