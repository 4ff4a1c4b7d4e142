"""TLS by aiofastnet: when it is used, and that nothing is lost when reading pauses.

It keeps what it has read ahead if it is paused meanwhile. Each of these would wait for ever then: the
peer says all that it has to say at once, and nothing afterwards.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from test.client.peers import client_context, frame, request, server_context
from test.server.aiopeers import QUIET, WAIT, Peer
from ws4py_ng.client.asyncioclient import connect
from ws4py_ng.handshake import Request
from ws4py_ng.limits import Limits
from ws4py_ng.server.asyncioserver import Server, serve
from ws4py_ng.transports import aio, fastnet
from ws4py_ng.websocket import EchoWebSocket, WebSocket

aiofastnet = pytest.importorskip("aiofastnet")
uvloop = pytest.importorskip("uvloop")

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
NewLoop = Callable[[], asyncio.AbstractEventLoop]
# As much as it reads at once, all together.
COUNT = 40
PAYLOAD = b"x" * 1000
ANSWERS = frame(2, PAYLOAD, mask=False) * COUNT


class Patient(WebSocket):
    """Let others have their turn before each answer."""

    async def received_message(self, message: Any) -> None:
        await asyncio.sleep(0)
        self.send(message)


async def meet(server: Server) -> Peer:
    """Connect by the loop's own TLS, with a buffer that is soon full."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, server.address)
    return Peer(*await asyncio.open_connection(sock=sock, ssl=client_context(), server_hostname="localhost"))


async def burst(server: Server) -> None:
    """Send the request and all messages at once; read every answer."""
    async with await meet(server) as peer, asyncio.timeout(WAIT):
        peer.writer.write(request() + frame(2, PAYLOAD) * COUNT)
        assert (await peer.head()).startswith(b"HTTP/1.1 101")
        assert ANSWERS == await peer.reader.readexactly(len(ANSWERS))


async def decide_later(request: Request) -> None:
    """Let the WebSocket go on, a turn later."""
    await asyncio.sleep(0)


async def serve_bursts(handler: type[WebSocket], limits: Limits = QUIET, **options: Any) -> None:
    """Serve one burst after the other; what is sent is soon too much for the system."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    tls = server_context()
    async with serve(handler, sock=listener, deflate=False, limits=limits, ssl_context=tls, **options) as server:
        for _ in range(5):
            await burst(server)
        for ws in server.connections:
            ws.close()


@LOOPS
def test_nothing_is_lost_while_a_hook_is_awaited(new_loop: NewLoop) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve_bursts(Patient))


@LOOPS
def test_nothing_is_lost_while_a_peer_is_behind(new_loop: NewLoop) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve_bursts(EchoWebSocket, Limits(ping_interval=None, max_outbox=1)))


@LOOPS
def test_nothing_is_lost_while_others_have_their_turn(new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "BREATH", 0.0)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve_bursts(EchoWebSocket))


@LOOPS
def test_nothing_is_lost_while_the_application_decides(new_loop: NewLoop) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve_bursts(EchoWebSocket, process_request=decide_later))


@LOOPS
def test_a_client_loses_nothing_either(new_loop: NewLoop) -> None:
    class Talker(WebSocket):
        def opened(self) -> None:
            for _ in range(COUNT):
                self.send(PAYLOAD, binary=True)

    async def main() -> None:
        tls = server_context()
        async with serve(Talker, port=0, deflate=False, limits=QUIET, ssl_context=tls) as server:
            for _ in range(5):
                url = f"wss://localhost:{server.port}/"
                limits = Limits(ping_interval=None, max_inbox=2000)
                options: dict[str, Any] = {"ssl_context": client_context(), "limits": limits, "deflate": False}
                async with connect(url, **options) as ws:
                    for _ in range(COUNT):
                        assert PAYLOAD == (await ws.receive(timeout=WAIT)).data

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@LOOPS
def test_who_leaves_within_the_handshake_is_no_error_of_the_loop(new_loop: NewLoop) -> None:
    told: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with serve(EchoWebSocket, port=0, limits=QUIET, ssl_context=server_context()) as server:
            for sent in (b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01\x02"):
                async with Peer(*await asyncio.open_connection(*server.address)) as peer, asyncio.timeout(WAIT):
                    peer.writer.write(sent)
                    peer.writer.write_eof()
                    with suppress(ConnectionError):
                        await peer.reader.read()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    assert [] == told


# When it is used


async def opened_by(name: str, *, tls: bool) -> Any:
    """Return the library, or the loop, that opens connections."""
    found: Any = fastnet.opener(asyncio.get_running_loop(), name, tls=tls)
    return getattr(found, "func", found).__module__.partition(".")[0]


@pytest.mark.parametrize("name", ["connect_accepted_socket", "create_connection", "create_unix_connection"])
def test_it_is_used_for_tls_unless_it_is_switched_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "aiofastnet" == asyncio.run(opened_by(name, tls=True))
    assert "asyncio" == asyncio.run(opened_by(name, tls=False))
    monkeypatch.setenv(fastnet.ENVIRONMENT, "0")
    assert "asyncio" == asyncio.run(opened_by(name, tls=True))


def test_without_the_library_the_loop_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiofastnet", None)
    fastnet._aiofastnet.cache_clear()
    try:
        assert "asyncio" == asyncio.run(opened_by("create_connection", tls=True))
    finally:
        fastnet._aiofastnet.cache_clear()


@pytest.mark.parametrize(("switch", "kind"), [("1", "aiofastnet"), ("0", "asyncio")])
def test_both_speak_tls(switch: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fastnet.ENVIRONMENT, switch)
    tls: ssl.SSLContext = server_context()

    async def main() -> None:
        async with serve(EchoWebSocket, port=0, ssl_context=tls) as server:
            url = f"wss://localhost:{server.port}/"
            async with connect(url, ssl_context=client_context()) as ws:
                await ws.send("hello")
                assert "hello" == str(await ws.receive(timeout=WAIT))
                for end in (ws, *server.connections):
                    transport: Any = end._transport
                    assert kind == type(transport._transport).__module__.partition(".")[0]

    asyncio.run(main())
