"""Test a WebSocket subclass without a network: `pair` joins two real endpoints in memory.

Everything happens when you say so, in your thread, with a clock of your own::

    >>> from ws4py_ng.testing import pair
    >>> from ws4py_ng.websocket import EchoWebSocket, WebSocket
    >>> class Client(WebSocket):
    ...     def received_message(self, message):
    ...         print("got", message)
    >>> link = pair(EchoWebSocket, Client)
    >>> link.run_until_idle()
    >>> _ = link.client.send("hello")
    >>> link.run_until_idle()
    got hello
    >>> link.close()
    >>> link.server_ending
    Ending(code=1000, reason=b'', clean=True)

A test of a subclass needs no network, in one of three ways: `pair` for a conversation that the test
makes up, ``session()`` fed by hand for bytes that no peer would send, and a recording for a conversation
that has been: `ws4py_ng.capture.replay`, or with pytest the fixture ``ws_replay`` and the marker
``ws_capture`` (`ws4py_ng.pytest_plugin`)::

    @pytest.mark.ws_capture("checkout.wscap")
    def test_checkout(ws_replay):
        ws_replay(Checkout, splits="every")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .client import WebSocketBaseClient
from .endpoint import Ending
from .extensions import PerMessageDeflateFactory
from .limits import DEFAULT_LIMITS, Limits
from .streaming import Stream
from .transports.memory import Clock, MemoryTransport, Turn, run, run_async
from .websocket import EchoWebSocket, WebSocket

__all__ = ["Link", "byte_by_byte", "pair", "whole"]

Cut = Callable[[bytes], Iterable[bytes]]

# Two endpoints that answer each other's answers never come to rest.
MAX_ROUNDS = 10_000


def whole(data: bytes) -> Iterable[bytes]:
    """Deliver what was sent in one piece."""
    return (data,)


def byte_by_byte(data: bytes) -> Iterable[bytes]:
    """Deliver what was sent one byte at a time."""
    return (data[i : i + 1] for i in range(len(data)))


class Link:
    """Join two endpoints; made by `pair`.

    ``server`` and ``client`` are yours to call. ``bytes_from_server`` and
    ``bytes_from_client`` are all that was on the wire so far.
    """

    def __init__(self, server: WebSocket, client: WebSocket, cut: Cut = whole) -> None:
        self.server = server
        self.client = client
        self.bytes_from_server = b""
        self.bytes_from_client = b""
        self._cut = cut
        self._clock = Clock()
        self._server = MemoryTransport(server, self._clock)
        self._client = MemoryTransport(client, self._clock)
        self._cut_off = False

    @property
    def server_ending(self) -> Ending | None:
        """How the server's session ended, None while it runs."""
        return self._server.ending

    @property
    def client_ending(self) -> Ending | None:
        """How the client's session ended, None while it runs."""
        return self._client.ending

    def pump(self) -> bool:
        """Carry what was sent to the other side, once in each direction; False if that was nothing.

        The first time, `opened` is called, the server's first.
        """
        before = self._progress()
        run(self._pump())
        return before != self._progress()

    def run_until_idle(self) -> None:
        """Pump until nobody has anything to send. Raises RuntimeError if that takes for ever."""
        run(self._until_idle())

    async def run_until_idle_async(self) -> None:
        """Do what `run_until_idle` does, for async hooks that need an event loop."""
        await run_async(self._until_idle())

    def advance(self, seconds: float) -> None:
        """Let time pass: pings, heartbeats and timeouts that become due happen in their order."""
        run(self._advance(seconds))

    async def advance_async(self, seconds: float) -> None:
        """Do what `advance` does, for async hooks that need an event loop."""
        await run_async(self._advance(seconds))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Let the client close, and pump until both sides have ended."""
        self.client.close(code, reason)
        self.run_until_idle()

    def cut_off(self, error: OSError | None = None) -> None:
        """Lose the network: both sides see the end of the stream, or the error."""
        self._cut_off = True
        for transport in (self._server, self._client):
            run(transport.start())
            run(transport.break_off(error) if error is not None else transport.feed(b""))

    def _progress(self) -> tuple[object, ...]:
        ends = self._server.ending, self._client.ending
        return len(self.bytes_from_client), len(self.bytes_from_server), *ends

    def _until_idle(self) -> Turn:
        for _ in range(MAX_ROUNDS):
            before = self._progress()
            yield from self._pump()
            if before == self._progress():
                return
        raise RuntimeError(f"Still busy after {MAX_ROUNDS} rounds: do both sides answer each other's answers?")

    def _pump(self) -> Turn:
        yield from self._server.start()
        yield from self._client.start()
        sent = self._client.take()
        self.bytes_from_client += sent
        yield from self._deliver(sent, self._client, self._server)
        sent = self._server.take()
        self.bytes_from_server += sent
        yield from self._deliver(sent, self._server, self._client)
        yield from self._server.tick()
        yield from self._client.tick()

    def _deliver(self, sent: bytes, source: MemoryTransport, target: MemoryTransport) -> Turn:
        if self._cut_off:
            return
        if sent:
            for piece in self._cut(sent):
                yield from target.feed(piece)
        elif source.ending is not None:
            yield from target.feed(b"")

    def _advance(self, seconds: float) -> Turn:
        end = self._clock.time + seconds
        yield from self._until_idle()
        while (due := min(self._server.next_tick, self._client.next_tick)) <= end:
            self._clock.time = max(due, self._clock.time)
            yield from self._server.tick()
            yield from self._client.tick()
            yield from self._until_idle()
        self._clock.time = end


def pair(
    server_cls: Callable[[], WebSocket] = EchoWebSocket,
    client_cls: Callable[..., WebSocket] = WebSocket,
    *,
    limits: Limits = DEFAULT_LIMITS,
    deflate: PerMessageDeflateFactory | None = None,
    cut: Cut = whole,
) -> Link:
    """Join a server and a client, behind the opening handshake; nothing happens before you pump.

    ``server_cls`` and ``client_cls`` are subclasses of `WebSocket`, or functions that make
    one; a client class of `ws4py_ng.client` is given a URL. ``deflate`` is negotiated with
    itself. ``cut`` says in which pieces bytes arrive: `whole`, `byte_by_byte`, or yours.
    """
    server = server_cls()
    wants_url = isinstance(client_cls, type) and issubclass(client_cls, WebSocketBaseClient)
    client = client_cls("ws://127.0.0.1/") if wants_url else client_cls()
    if wants_url:
        client.close_connection()  # the socket that it has made, which was never connected
    else:
        client._stream = Stream(always_mask=True, expect_masking=False)
    _prepare(server, limits)
    _prepare(client, limits)
    if deflate is not None:
        agreed = deflate.accept(deflate.offer())
        if agreed is None:
            raise ValueError(f"{deflate} does not agree with itself")
        params, extension = agreed
        server._stream.use_extension(extension)
        client._stream.use_extension(deflate.confirm(params))
    return Link(server, client, cut)


def _prepare(endpoint: WebSocket, limits: Limits) -> None:
    endpoint._keepalive.beat = endpoint.heartbeat_freq
    endpoint._configure(limits)
