"""Our threaded server with the clients of others."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any

import aiohttp
import pytest
import websocket
import websockets.asyncio.client
import websockets.sync.client
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from test.client.peers import WAIT, client_context, connect, get, running, server_context, spy, url_of
from test.interop import wsproto_peer
from test.interop.loop import Loop
from ws4py_ng.limits import MIB
from ws4py_ng.server.threadedserver import Server

OPCODE_TEXT, OPCODE_CLOSE, OPCODE_PONG = 1, 8, 10


class Echo:
    """Do as a message says, or send it back."""

    pongs: Any

    def received_message(self: Any, message: Any) -> None:
        text = str(message) if message.is_text and len(message.data) < 50 else ""
        if text == "close me":
            self.close(4002, "later")
        elif text == "fragments":
            self.send(["a" * 1000, "", "\u20ac", "b" * 70000])
        elif text == "ping me":
            self.ping("are you there?")
        else:
            self.send(message.data, message.is_binary)

    def ponged(self: Any, pong: Any) -> None:
        self.send(b"pong: " + pong.data)


def echo() -> Any:
    return spy(received_message=Echo.received_message, ponged=Echo.ponged)


FRAGMENTS = "a" * 1000 + "\u20ac" + "b" * 70000


class WebsocketsSync:
    """Speak with the threaded client of websockets."""

    answers_in_kind = True

    def __init__(self, server: Server, deflate: bool, context: ssl.SSLContext | None) -> None:
        self.stack = ExitStack()
        self.it = self.stack.enter_context(
            websockets.sync.client.connect(
                url_of(server),
                subprotocols=["v1", "v2"],  # type: ignore[list-item]
                compression="deflate" if deflate else None,
                ssl=context,
                max_size=None,
            )
        )
        self.subprotocol = self.it.subprotocol
        self.deflated = bool(self.it.protocol.extensions)

    def send(self, message: str | bytes) -> None:
        self.it.send(message)

    def receive(self) -> str | bytes:
        return self.it.recv(WAIT)

    def send_fragments(self, pieces: list[str]) -> None:
        self.it.send(pieces)

    def ping(self) -> None:
        assert self.it.ping(b"hello").wait(WAIT)

    def close(self, code: int, reason: str) -> tuple[int | None, str | None]:
        self.it.close(code, reason)
        return self.it.close_code, self.it.close_reason

    def wait_closed(self) -> tuple[int | None, str | None]:
        with pytest.raises(websockets.ConnectionClosed):
            self.it.recv(WAIT)
        return self.it.close_code, self.it.close_reason

    def leave(self) -> None:
        self.stack.close()


class WebsocketsAsyncio:
    """Speak with the asyncio client of websockets."""

    answers_in_kind = True

    def __init__(self, server: Server, deflate: bool, context: ssl.SSLContext | None) -> None:
        self.loop = Loop().__enter__()
        self.it = self.loop.do(self._connect(server, deflate, context))
        self.subprotocol = self.it.subprotocol
        self.deflated = bool(self.it.protocol.extensions)

    async def _connect(self, server: Server, deflate: bool, context: ssl.SSLContext | None) -> Any:
        return await websockets.asyncio.client.connect(
            url_of(server),
            subprotocols=["v1", "v2"],  # type: ignore[list-item]
            compression="deflate" if deflate else None,
            ssl=context,
            max_size=None,
        )

    def send(self, message: Any) -> None:
        self.loop.do(self.it.send(message))

    def receive(self) -> Any:
        return self.loop.do(self.it.recv())

    def send_fragments(self, pieces: list[str]) -> None:
        self.loop.do(self.it.send(pieces))

    def ping(self) -> None:
        async def ping() -> None:
            await (await self.it.ping(b"hello"))

        self.loop.do(ping())

    def close(self, code: int, reason: str) -> tuple[int | None, str | None]:
        self.loop.do(self.it.close(code, reason))
        return self.it.close_code, self.it.close_reason

    def wait_closed(self) -> tuple[int | None, str | None]:
        with pytest.raises(websockets.ConnectionClosed):
            self.loop.do(self.it.recv())
        return self.it.close_code, self.it.close_reason

    def leave(self) -> None:
        self.loop.do(self.it.close())
        self.loop.__exit__()


class Aiohttp:
    """Speak with the client of aiohttp."""

    answers_in_kind = False  # its Close says 1000, whatever ours said
    send_fragments = None  # it has no way to

    def __init__(self, server: Server, deflate: bool, context: ssl.SSLContext | None) -> None:
        self.loop = Loop().__enter__()
        self.loop.do(self._connect(server, deflate, context))
        self.subprotocol = self.it.protocol
        self.deflated = bool(self.it.compress)

    async def _connect(self, server: Server, deflate: bool, context: ssl.SSLContext | None) -> None:
        self.session = aiohttp.ClientSession()
        self.it = await self.session.ws_connect(
            url_of(server),
            protocols=["v1", "v2"],
            compress=15 if deflate else 0,
            ssl=context if context is not None else True,
            max_msg_size=0,
        )

    def send(self, message: str | bytes) -> None:
        self.loop.do(self.it.send_str(message) if isinstance(message, str) else self.it.send_bytes(message))

    def receive(self) -> Any:
        message = self.loop.do(self.it.receive())
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        return message.data

    def ping(self) -> None:
        self.loop.do(self.it.ping(b"hello"))  # it keeps the Pong to itself

    def close(self, code: int, reason: str) -> tuple[int | None, str | None]:
        self.loop.do(self.it.close(code=code, message=reason.encode()))
        return self.it.close_code, reason  # it keeps the reason to itself

    def wait_closed(self) -> tuple[int | None, str | None]:
        message = self.loop.do(self.it.receive())
        assert message.type is aiohttp.WSMsgType.CLOSE
        return message.data, message.extra

    def leave(self) -> None:
        self.loop.do(self.it.close())
        self.loop.do(self.session.close())
        self.loop.__exit__()


class WebsocketClient:
    """Speak with websocket-client."""

    answers_in_kind = False  # its Close says 1000, whatever ours said

    def __init__(self, server: Server, deflate: bool, context: ssl.SSLContext | None) -> None:
        self.it = websocket.create_connection(
            url_of(server),
            subprotocols=["v1", "v2"],
            timeout=WAIT,
            sslopt={"context": context} if context is not None else None,
        )
        self.subprotocol = self.it.getsubprotocol()
        self.deflated = False

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.it.send(message)
        else:
            self.it.send_binary(message)

    def receive(self) -> Any:
        return self.it.recv()

    def send_fragments(self, pieces: list[str]) -> None:
        for i, piece in enumerate(pieces):
            self.it.send_frame(
                websocket.ABNF.create_frame(piece.encode(), 0 if i else OPCODE_TEXT, fin=int(i == len(pieces) - 1))
            )

    def ping(self) -> None:
        self.it.ping(b"hello")
        opcode, frame = self.it.recv_data_frame(control_frame=True)
        assert (OPCODE_PONG, b"hello") == (opcode, frame.data)

    def close(self, code: int, reason: str) -> tuple[int | None, str | None]:
        self.it.send_close(code, reason.encode())
        return self.wait_closed()

    def wait_closed(self) -> tuple[int | None, str | None]:
        opcode, frame = self.it.recv_data_frame(control_frame=True)
        assert OPCODE_CLOSE == opcode
        self.it.shutdown()
        return int.from_bytes(frame.data[:2], "big"), frame.data[2:].decode()

    def leave(self) -> None:
        self.it.close(timeout=0)


class Wsproto:
    """Speak with wsproto."""

    answers_in_kind = True

    def __init__(self, server: Server, deflate: bool, context: ssl.SSLContext | None) -> None:
        peer = connect(server, context=context)
        self.it = wsproto_peer.connect(peer.sock, "localhost", ["v1", "v2"], deflate)
        self.subprotocol = self.it.subprotocol
        self.deflated = self.it.deflated

    def send(self, message: str | bytes) -> None:
        self.it.send(TextMessage(message) if isinstance(message, str) else BytesMessage(message))

    def receive(self) -> Any:
        return self.it.receive()

    def send_fragments(self, pieces: list[str]) -> None:
        self.it.send_fragments(pieces)

    def ping(self) -> None:
        assert b"hello" == self.it.ping(b"hello")

    def close(self, code: int, reason: str) -> tuple[int | None, str | None]:
        return self.it.finish(CloseConnection(code, reason))

    def wait_closed(self) -> tuple[int | None, str | None]:
        return self.it.finish()

    def leave(self) -> None:
        self.it.sock.close()


CLIENTS: tuple[Callable[[Server, bool, Any], Any], ...] = (
    WebsocketsSync,
    WebsocketsAsyncio,
    Aiohttp,
    WebsocketClient,
    Wsproto,
)
EACH = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)


@contextmanager
def talking(client: Any, kind: Any, deflate: bool = True, tls: bool = False) -> Iterator[Any]:
    """Serve a class, and connect a client to it."""
    options = {"ssl_context": server_context()} if tls else {}
    with running(kind, protocols=["v2"], deflate=deflate, **options) as server:
        it = client(server, deflate, client_context() if tls else None)
        try:
            yield it
        finally:
            it.leave()


@EACH
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("deflate", [False, True], ids=["bare", "deflate"])
def test_messages_come_back_as_they_were(client: Any, deflate: bool, tls: bool) -> None:
    kind = echo()
    with talking(client, kind, deflate, tls) as it:
        assert "v2" == it.subprotocol
        assert (["permessage-deflate"] if it.deflated else []) == get(kind.seen).extensions
        assert it.deflated == (deflate and client is not WebsocketClient)
        messages = ["", "hello \u20ac", b"", b"\x00\xff" * 100, "\u20ac" * (MIB // 3), bytes(range(256)) * (MIB // 256)]
        for message in messages:
            it.send(message)
            assert message == it.receive()


@EACH
@pytest.mark.parametrize("deflate", [False, True], ids=["bare", "deflate"])
def test_fragments_are_put_together_on_both_sides(client: Any, deflate: bool) -> None:
    with talking(client, echo(), deflate) as it:
        it.send("fragments")
        assert FRAGMENTS == it.receive()
        if it.send_fragments is not None:
            it.send_fragments(["one ", "two ", "", "\u20ac" * 5000])
            assert "one two " + "\u20ac" * 5000 == it.receive()


@EACH
def test_pings_are_answered_on_both_sides(client: Any) -> None:
    with talking(client, echo()) as it:
        it.ping()
        it.send("ping me")
        assert "pong: are you there?" == it.receive()


@EACH
def test_the_client_closes(client: Any) -> None:
    kind = echo()
    with talking(client, kind) as it:
        assert (4001, "bye \u20ac") == it.close(4001, "bye \u20ac")
        assert (4001, "bye \u20ac".encode()) == get(kind.endings)


@EACH
def test_the_server_closes(client: Any) -> None:
    kind = echo()
    with talking(client, kind) as it:
        it.send("close me")
        assert (4002, "later") == it.wait_closed()
        assert (4002 if client.answers_in_kind else 1000) == get(kind.endings).code


@EACH
def test_the_server_leaves(client: Any) -> None:
    kind = echo()
    with running(kind, protocols=["v2"]) as server:
        it = client(server, False, None)
        get(kind.seen)
        leaving = Thread(target=server.shutdown)
        leaving.start()
        try:
            assert (1001, "Server is shutting down") == it.wait_closed()
        finally:
            it.leave()
            leaving.join(WAIT)
        assert (1001 if client.answers_in_kind else 1000) == get(kind.endings).code
