"""What an application answers by plain HTTP, and what it raises: the same on all servers of ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
import trio

from test.client.peers import Peer, request, running
from ws4py_ng.exc import HandshakeError
from ws4py_ng.handshake import Response
from ws4py_ng.server import asyncioserver, threadedserver, trioserver
from ws4py_ng.websocket import EchoWebSocket

Ask = Callable[[int], bytes]


def on_threads(ask: Ask, handlers: Any, **options: Any) -> bytes:
    with running(handlers, **options) as server:
        return ask(server.port)


def on_asyncio(ask: Ask, handlers: Any, **options: Any) -> bytes:
    async def main() -> bytes:
        async with asyncioserver.serve(handlers, port=0, **options) as server:
            return await asyncio.to_thread(ask, server.port)

    return asyncio.run(main())


def on_trio(ask: Ask, handlers: Any, **options: Any) -> bytes:
    async def main() -> bytes:
        async with trioserver.serve(handlers, port=0, **options) as server:
            return await trio.to_thread.run_sync(ask, server.port)

    return trio.run(main)


Serve = Callable[..., bytes]
SERVERS: dict[str, Serve] = {"threads": on_threads, "asyncio": on_asyncio, "trio": on_trio}


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest) -> Serve:
    """Run a server, ask it, and give the answer."""
    return SERVERS[request.param]


def asking(sent: bytes) -> Ask:
    def ask(port: int) -> bytes:
        with Peer(socket.create_connection(("127.0.0.1", port))) as peer:
            peer.send(sent)
            return peer.take_rest()

    return ask


def raising(error: Exception) -> Callable[[Any], Any]:
    def fail(request: Any) -> Any:
        raise error

    return fail


def test_a_refusal_without_a_status_is_400(serve: Serve) -> None:
    refuse = raising(HandshakeError("go away"))
    for options in ({"handlers": refuse}, {"handlers": EchoWebSocket, "process_request": refuse}):
        answer = serve(asking(request()), **options)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"\r\n\r\ngo away\n")


# row: (process_request, what the log says)
MISTAKES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a str": (lambda request: "hello", "TypeError: process_request returned 'hello', expected a Response or None"),
    "a tuple": (lambda request: (200, [], b""), "TypeError: process_request returned (200, [], b'')"),
    "True": (lambda request: True, "TypeError: process_request returned True"),
    "a long str": (lambda request: "x" * 1000, "expected a Response or None"),
    "a body of str": (lambda request: Response(200, body="page"), "TypeError: body is str, expected bytes"),  # type: ignore[arg-type]
    "a status of str": (lambda request: Response("200"), "TypeError: status is '200', expected an int"),  # type: ignore[arg-type]
    "a header of int": (lambda request: Response(200, {"X-A": 5}), "TypeError: header 'X-A' has a value of int"),  # type: ignore[arg-type,dict-item]
    "a refusal with 200": (raising(HandshakeError("x", 200)), "ValueError: status 200 for a refusal"),
    "a refusal with a header of int": (
        raising(HandshakeError("x", 403, [("X-A", 5)])),  # type: ignore[list-item]
        "TypeError: header 'X-A' has a value of int",
    ),
}


@pytest.mark.parametrize("row", MISTAKES)
def test_what_cannot_be_an_answer_is_a_500_and_one_line_in_the_log(
    row: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    process_request, expected = MISTAKES[row]
    caplog.set_level(logging.WARNING)
    answer = serve(asking(request(line="GET /a?secret HTTP/1.1")), EchoWebSocket, process_request=process_request)
    assert answer.startswith(b"HTTP/1.1 500 ")
    (record,) = caplog.records
    assert "The application failed to answer a request for /a" == record.getMessage()
    assert expected in logging.Formatter().formatException(record.exc_info)  # type: ignore[arg-type]
    assert len(str(record.exc_info[1])) < 200  # type: ignore[index]


def test_pairs_and_a_mapping_are_headers_of_an_answer(serve: Serve) -> None:
    for headers in ({"X-A": "1"}, [("X-A", "1")]):
        answer = serve(asking(request()), EchoWebSocket, process_request=lambda request: Response(200, headers))  # noqa: B023
        assert b"\r\nX-A: 1\r\n" in answer


def test_a_plain_request_of_http_1_0_is_answered_and_an_upgrade_refused(serve: Serve) -> None:
    def health(request: Any) -> Response | None:
        return Response(200) if request.target == "/healthz" else None

    for sent, expected in (
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 "),
        (b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 505 "),
        (request(line="GET / HTTP/1.0"), b"HTTP/1.1 505 "),
    ):
        assert serve(asking(sent), EchoWebSocket, process_request=health).startswith(expected)


def test_an_answer_to_head_has_no_body(serve: Serve) -> None:
    def page(request: Any) -> Response | None:
        return Response(200, body=b"ok") if request.target == "/page" else None

    for target, status, length in (("/page", b"200", b"2"), ("/", b"405", b"")):
        answer = serve(asking(request(line=f"HEAD {target} HTTP/1.1")), EchoWebSocket, process_request=page)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (status, b"") == (head.split()[1], body)
        assert b"\r\nContent-Length: " + length in head


def test_a_full_server_still_asks_the_application(serve: Serve) -> None:
    def health(request: Any) -> Response | None:
        return Response(200, body=b"ok") if request.target == "/healthz" else None

    def fill_and_ask(port: int) -> bytes:
        with contextlib.ExitStack() as peers:
            for expected in (b"101", b"101", b"503", b"503"):
                peer = peers.enter_context(Peer(socket.create_connection(("127.0.0.1", port))))
                peer.send(request())
                assert expected == peer.take_head().split()[1]
            assert asking(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")(port).startswith(b"HTTP/1.1 426 ")
            return asking(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")(port)

    answer = serve(fill_and_ask, EchoWebSocket, process_request=health, max_connections=2)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_strangers_of_a_full_server_are_bounded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (threadedserver, asyncioserver, trioserver):
        monkeypatch.setattr(module, "STRANGERS", 3)

    def fill_and_ask(port: int) -> bytes:
        with contextlib.ExitStack() as peers:
            for _ in range(2):
                peer = peers.enter_context(Peer(socket.create_connection(("127.0.0.1", port))))
                peer.send(request())
                assert b"101" == peer.take_head().split()[1]
            for _ in range(3):  # who says nothing has a place, as long as he may take for his request
                peers.enter_context(Peer(socket.create_connection(("127.0.0.1", port))))
            return asking(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")(port)

    answer = serve(fill_and_ask, EchoWebSocket, process_request=lambda request: None, max_connections=2)
    assert answer.startswith(b"HTTP/1.1 503 ")


def test_an_answer_may_be_awaited_and_is_checked_as_well(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: Any) -> Any:
        return "hello"

    assert on_asyncio(asking(request()), EchoWebSocket, process_request=answer).startswith(b"HTTP/1.1 500 ")
    assert "process_request returned 'hello'" in caplog.text
