"""What simple-websocket's manual promises."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from aiohttp import web
from simple_websocket import AioClient, AioServer, Client, ConnectionClosed, ConnectionError, Server
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from ws4py_ng.client.threadedclient import connect
from ws4py_ng.exc import ConnectionClosed as Closed
from ws4py_ng.limits import MIB, Limits

WAIT = 5
LARGE = Limits(max_message_size=16 * MIB)
CERTIFICATES = Path(os.environ["WS4PY_NG_CONTRACT_CERTS"])


@contextmanager
def serving(converse: Callable[[Any], object], tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[int]:
    """Serve by Werkzeug as Flask does: behind the conversation a response is made."""

    @Request.application
    def application(request: Request) -> Response:
        ws = Server.accept(request.environ, **options)
        with suppress(ConnectionClosed):
            converse(ws)
        return Response("behind the end")

    server = make_server("127.0.0.1", 0, application, threaded=True, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join(WAIT)
        server.server_close()


def echo(ws: Any) -> None:
    while True:
        ws.send(ws.receive())


def url(port: int, scheme: str = "ws", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{port}/echo"


def close_code(ws: Any) -> int:
    with pytest.raises(Closed) as caught:
        ws.receive(WAIT)
    return int(caught.value.code or 0)


def end_of(ws: Any) -> tuple[int, str | None]:
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive(timeout=WAIT)
    return int(caught.value.reason), caught.value.message


# The server


def test_what_comes_is_sent_back_by_kind() -> None:
    with serving(echo) as port, connect(url(port)) as ws:
        ws.send("text")
        assert (False, "text") == ((m := ws.receive(WAIT)).is_binary, str(m))
        ws.send(b"\x00\xff", binary=True)
        assert (True, b"\x00\xff") == ((m := ws.receive(WAIT)).is_binary, m.data)


def test_what_is_no_bytes_is_sent_as_text() -> None:
    with serving(lambda ws: (ws.send(42), ws.receive())) as port, connect(url(port)) as ws:
        assert "42" == str(ws.receive(WAIT))


def test_receive_gives_none_when_the_time_is_over() -> None:
    def wait(ws: Any) -> None:
        ws.send(repr(ws.receive(timeout=0)))
        ws.send(repr(ws.receive(timeout=0.01)))
        ws.send(ws.receive(timeout=WAIT))

    with serving(wait) as port, connect(url(port)) as ws:
        assert ["None", "None"] == [str(ws.receive(WAIT)), str(ws.receive(WAIT))]
        ws.send("now")
        assert "now" == str(ws.receive(WAIT))


def test_the_peers_code_and_message_are_in_the_exception() -> None:
    ends: list[Any] = []
    done = threading.Event()

    def listen(ws: Any) -> None:
        try:
            ws.receive()
        except ConnectionClosed as closed:
            ends.append((int(closed.reason), closed.message, str(closed)[:23], ws.connected))
            try:
                ws.send("late")
            except ConnectionClosed as again:
                ends.append(int(again.reason))
        done.set()

    with serving(listen) as port:
        ws = connect(url(port))
        ws.close(4000, "bye")
        assert done.wait(WAIT)
        ws.run_forever()
    assert [(4000, "bye", "Connection closed: 4000", False), 4000] == ends


def test_close_has_a_code_and_a_message_and_is_done_once() -> None:
    twice: list[bool] = []

    def leave(ws: Any) -> None:
        ws.close(reason=4001, message="enough")
        try:
            ws.close()
        except ConnectionClosed:
            twice.append(True)

    with serving(leave) as port, connect(url(port)) as ws, pytest.raises(Closed) as caught:
        ws.receive(WAIT)
    assert (4001, "enough") == (caught.value.code, caught.value.reason)
    assert [True] == twice


def test_close_is_1000_by_itself() -> None:
    with serving(lambda ws: ws.close()) as port, connect(url(port)) as ws:
        assert 1000 == close_code(ws)


def test_a_message_that_is_too_long_for_a_close_frame_is_cut() -> None:
    with (
        serving(lambda ws: ws.close(4001, "ü" * 100)) as port,
        connect(url(port)) as ws,
        pytest.raises(Closed) as caught,
    ):
        ws.receive(WAIT)
    assert (4001, "ü" * 61) == (caught.value.code, caught.value.reason)


def test_no_reason_and_no_size_may_be_0_as_well() -> None:
    with serving(lambda ws: ws.close(0), max_message_size=0) as port, connect(url(port)) as ws:
        assert 1000 == close_code(ws)


def test_nothing_is_written_behind_the_close_frame() -> None:
    with serving(lambda ws: ws.close()) as port, socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        head = ("GET /echo HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade")
        key = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "")
        sock.sendall("\r\n".join(head + key).encode())
        came = b""
        while not came.endswith(b"\x88\x02\x03\xe8"):
            came += sock.recv(4096)
        sock.sendall(b"\x88\x82\x00\x00\x00\x00\x03\xe8")
        rest = b""
        try:
            while data := sock.recv(4096):
                rest += data
        except ConnectionResetError:
            pass
    assert b"" == rest


def test_the_first_subprotocol_that_both_have_is_chosen() -> None:
    with (
        serving(lambda ws: ws.send(ws.subprotocol), subprotocols=["one", "two"]) as port,
        connect(url(port), ["zero", "two", "one"]) as ws,
    ):
        assert [b"two"] == ws.protocols
        assert "two" == str(ws.receive(WAIT))


def test_subprotocols_may_be_one_name() -> None:
    with serving(lambda ws: ws.send(ws.subprotocol), subprotocols="two") as port, connect(url(port), ["two"]) as ws:
        assert "two" == str(ws.receive(WAIT))


def test_no_common_subprotocol_is_none() -> None:
    with serving(lambda ws: ws.send(repr(ws.subprotocol)), subprotocols=["x"]) as port, connect(url(port)) as ws:
        assert "None" == str(ws.receive(WAIT))


def test_a_subclass_chooses_the_subprotocol() -> None:
    class Last(Server):
        def choose_subprotocol(self, request: Any) -> str | None:
            return str(request.subprotocols[-1])

    @Request.application
    def application(request: Request) -> Response:
        ws = Last(request.environ)
        ws.send(ws.subprotocol)
        ws.close()
        return Response()

    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with connect(url(server.port), ["a", "b"]) as ws:
            assert "b" == str(ws.receive(WAIT))
    finally:
        server.shutdown()
        server.server_close()


def test_a_message_that_is_too_large_closes_with_1009() -> None:
    with serving(echo, max_message_size=100) as port, connect(url(port)) as ws:
        ws.send("x" * 101)
        assert 1009 == close_code(ws)


@pytest.mark.parametrize("size", [65536, 3 * MIB])
def test_large_messages_come_back_whole(size: int) -> None:
    with serving(echo) as port, connect(url(port), limits=LARGE) as ws:
        ws.send(b"x" * size, binary=True)
        assert size == len(ws.receive(4 * WAIT).data)


def test_a_ping_is_answered_while_the_application_is_busy() -> None:
    done = threading.Event()

    def busy(ws: Any) -> None:
        ws.send("begun")
        done.wait(WAIT)

    with serving(busy) as port:
        ponged = threading.Event()
        with connect(url(port)) as ws:
            ws.ponged = lambda pong: ponged.set()
            ws.receive(WAIT)
            ws.ping("there?")
            assert ponged.wait(WAIT)
            done.set()


def test_pings_are_sent_at_intervals() -> None:
    with serving(echo, ping_interval=0.2) as port, socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        head = ("GET /echo HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade")
        key = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "")
        sock.sendall("\r\n".join(head + key).encode())
        came = b""
        while b"\r\n\r\n" not in came:
            came += sock.recv(4096)
        assert 0x89 == (came.partition(b"\r\n\r\n")[2] or sock.recv(4096))[0]


def test_classes_of_the_application_are_accepted() -> None:
    import selectors

    class Thread(threading.Thread):
        made = 0

        def __init__(self, *args: Any, **options: Any) -> None:
            type(self).made += 1
            super().__init__(*args, **options)

    classes = {
        "thread_class": Thread,
        "event_class": threading.Event,
        "selector_class": selectors.DefaultSelector,
    }
    with serving(echo, receive_bytes=100, ping_interval=1, **classes) as port, connect(url(port)) as ws:
        ws.send("x" * 10_000)
        assert 10_000 == len(str(ws.receive(WAIT)))
        assert 1 == Thread.made


def test_a_request_that_is_no_websocket_is_400() -> None:
    with serving(echo) as port, socket.create_connection(("127.0.0.1", port), WAIT) as sock:
        sock.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert b"4" == sock.recv(100).split()[1][:1]


def test_an_environ_without_a_socket_is_a_runtime_error() -> None:
    with pytest.raises(RuntimeError, match="Cannot obtain socket"):
        Server.accept({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "x", "wsgi.input": None})


# The client


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_the_client_sends_and_receives(scheme: str) -> None:
    with serving(echo) as port:
        ws = Client.connect(url(port, scheme))
        ws.send("text")
        ws.send(b"data")
        assert ["text", b"data"] == [ws.receive(), ws.receive(timeout=WAIT)]
        assert ws.receive(timeout=0.01) is None
        assert ws.connected
        ws.close(1001, "bye")
        assert not ws.connected


@pytest.mark.parametrize("scheme", ["wss", "https"])
def test_the_client_verifies_tls(scheme: str) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    context = ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")
    with serving(echo, server) as port:
        ws = Client.connect(url(port, scheme, "localhost"), ssl_context=context)
        ws.send("x" * 200_000)
        assert 200_000 == len(ws.receive(timeout=WAIT))
        ws.close()
        with pytest.raises(ssl.SSLError):
            Client.connect(url(port, scheme, "localhost"))


@pytest.mark.parametrize("headers", [{"X-One": "1"}, [("X-One", "1")]])
def test_the_client_sends_headers(headers: Any) -> None:
    with serving(lambda ws: ws.send(ws.environ["HTTP_X_ONE"])) as port:
        ws = Client(url(port), headers=headers)
        assert "1" == ws.receive(timeout=WAIT)
        end_of(ws)


def test_the_client_offers_subprotocols() -> None:
    with serving(lambda ws: ws.receive(), subprotocols=["two"]) as port:
        ws = Client.connect(url(port), ["one", "two"])
        assert "two" == ws.subprotocol
        ws.close()


def test_a_refusal_has_its_status() -> None:
    server = make_server("127.0.0.1", 0, Response("no", status=403), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ConnectionError) as caught:
            Client.connect(url(server.port))
    finally:
        server.shutdown()
        server.server_close()
    assert 403 == caught.value.status_code
    assert isinstance(caught.value, RuntimeError)


def test_the_servers_end_reaches_the_client_behind_its_messages() -> None:
    def leave(ws: Any) -> None:
        ws.send("last")
        ws.close(4002, "done")

    with serving(leave) as port:
        ws = Client.connect(url(port))
        assert "last" == ws.receive(timeout=WAIT)
        assert (4002, "done") == end_of(ws)
        assert not ws.connected


# asyncio


@asynccontextmanager
async def aiohttp_serving(converse: Callable[[Any], Coroutine[Any, Any, object]], **options: Any) -> Any:
    async def handler(request: web.Request) -> web.Response:
        ws = await AioServer.accept(aiohttp=request, **options)
        with suppress(ConnectionClosed):
            await converse(ws)
        return web.Response(text="behind the end")

    application = web.Application()
    application.add_routes([web.get("/echo", handler)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]
    finally:
        await runner.cleanup()


async def aio_echo(ws: Any) -> None:
    while True:
        await ws.send(await ws.receive())


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 8 * WAIT))


@pytest.mark.parametrize("size", [10, 65537, 3 * MIB])
def test_messages_of_every_size_pass_aiohttp(size: int) -> None:
    async def test() -> None:
        async with aiohttp_serving(aio_echo) as port:
            ws = await AioClient.connect(url(port))
            for message in ("x" * size, b"x" * size):
                await ws.send(message)
                assert message == await ws.receive(timeout=4 * WAIT)
            await ws.close()

    run(test)


def test_aiohttp_negotiates_and_closes() -> None:
    async def leave(ws: Any) -> None:
        await ws.send(ws.subprotocol)
        assert await ws.receive(timeout=0.01) is None
        await ws.close(4003, "over")

    async def test() -> None:
        async with aiohttp_serving(leave, subprotocols=["b"]) as port:
            ws = await AioClient.connect(url(port), subprotocols=["a", "b"], headers={"X-One": "1"})
            assert ("b", "b") == (ws.subprotocol, await ws.receive())
            with pytest.raises(ConnectionClosed) as caught:
                await ws.receive()
            assert (4003, "over") == (int(caught.value.reason), caught.value.message)
            assert not ws.connected

    run(test)


def test_asgi_is_served() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        ws = await AioServer.accept(asgi=(scope, receive, send), subprotocols=["b"])
        await ws.send(ws.subprotocol)
        with suppress(ConnectionClosed):
            await aio_echo(ws)

    async def test() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve([listener]))
        ws = await AioClient.connect(url(listener.getsockname()[1]), ["a", "b"])
        assert "b" == await ws.receive()
        for message in ("x" * 100_000, b"\x00"):
            await ws.send(message)
            assert message == await ws.receive(timeout=WAIT)
        await ws.close()
        server.should_exit = True
        await serving

    run(test)


def test_a_socket_is_served() -> None:
    async def test() -> None:
        done = asyncio.Event()

        async def accept(listener: socket.socket) -> None:
            loop = asyncio.get_running_loop()
            sock, _ = await loop.sock_accept(listener)
            head = b""
            while b"\r\n\r\n" not in head:
                head += await loop.sock_recv(sock, 4096)
            lines = head.decode().split("\r\n")[1:-2]
            headers = dict(line.split(": ", 1) for line in lines)
            ws = await AioServer.accept(sock=sock, headers=headers)
            try:
                await aio_echo(ws)
            except ConnectionClosed:
                done.set()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            serving = asyncio.create_task(accept(listener))
            ws = await AioClient.connect(url(listener.getsockname()[1]))
            await ws.send("text")
            assert "text" == await ws.receive(timeout=WAIT)
            await ws.close()
            await done.wait()
            await serving

    run(test)


@pytest.mark.parametrize("wrong", [{}, {"asgi": (1, 2, 3), "aiohttp": 1}, {"asgi": (1, 2, 3), "headers": {}}])
def test_accept_takes_one_of_its_three(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each library has its own words
        asyncio.run(partial(AioServer.accept, **wrong)())


def test_the_async_client_has_the_status_of_a_refusal() -> None:
    async def test() -> None:
        application = web.Application()
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        with pytest.raises(ConnectionError) as caught:
            await AioClient.connect(url(site._server.sockets[0].getsockname()[1]))
        assert 404 == caught.value.status_code
        await runner.cleanup()

    run(test)
