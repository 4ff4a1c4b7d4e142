"""The client for asyncio and uvloop.

    async with connect("ws://localhost:9000/") as ws:
        await ws.send("hello")
        print(await ws.receive(timeout=5))

`WebSocketClient` is to be subclassed instead: its hooks are called, and may be ``async def``. It
is entered or awaited as well; ``await ws.wait_ended()`` waits for the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any, Self

from ..capture.taps import tap_protocol
from ..capture.untapped import AnyTap
from ..receiving import AsyncReceiver
from ..states import Event
from ..transports.aio import AsyncioTransport
from ..transports.fastnet import opener
from ..transports.kits import LAST_WORDS
from ..transports.parting import read_buffer
from .base import ClientBase
from .block import AsyncioBlock, called_off_by

__all__ = ["Connection", "WebSocketClient", "connect"]

# A head is read in small pieces, as what comes behind it has to be dealt with in one turn.
HEAD_PIECE = 4096
# What Python's loop waits for the first address of a server before it tries the next one (RFC 8305 5).
NEXT_ADDRESS = 0.25


class WebSocketClient(AsyncioBlock, ClientBase):
    """Connect when it is entered or awaited, be closed when it is left; hooks may be ``async def``.

    Parameters: see `WebSocketBaseClient`.
    """

    _strict = True
    _driver: AsyncioTransport | None = None

    async def connect(self) -> None:
        """Connect and shake hands; `opened` is called before this returns, or has begun.

        Raises HandshakeError for an answer that is no WebSocket, with the server's status,
        headers and the beginning of its body; ssl.SSLError for a certificate that is not
        trusted; OSError when nobody answers; TimeoutError after ``limits.open_timeout``;
        ConnectionAbortedError when it was closed meanwhile, or before. Who cancels it leaves
        nothing open.
        """
        self._claim()
        opening = _Opening(self)
        scope = asyncio.timeout(self._limits.open_timeout)
        self._call_off = called_off_by(scope)
        try:
            async with scope:
                with self._naming():
                    await self._dial(opening)
                self._driver = await opening.carrier
            self._call_off = None
        except TimeoutError as error:
            broken_off = self._broken_off()
            opening.cut_off()
            self._give_up()
            if not scope.expired():
                raise
            raise opening.outcome_of(broken_off) from error
        except BaseException:
            opening.cut_off()
            self._give_up()
            raise

    async def _dial(self, opening: _Opening) -> None:
        loop = asyncio.get_running_loop()
        protocol: asyncio.BaseProtocol = opening
        if self._recorder is not None:
            protocol = tap_protocol(opening, self._tap_on)
        options: dict[str, Any] = {}
        tls = self._tls()
        if tls is not None:
            options["ssl"], options["server_hostname"] = tls
            if self._limits.open_timeout is not None:
                # The loop has a limit of its own for this. Ours comes first.
                options["ssl_handshake_timeout"] = self._limits.open_timeout + LAST_WORDS
        if self.unix_socket_path:
            await opener(loop, "create_unix_connection", tls=tls is not None)(
                lambda: protocol, self.unix_socket_path, **options
            )
            return
        if isinstance(loop, asyncio.BaseEventLoop):  # uvloop tries one address after the other
            options["happy_eyeballs_delay"] = NEXT_ADDRESS
        connect = opener(loop, "create_connection", tls=tls is not None)
        await connect(lambda: protocol, self.host, int(self.port or 0), **options)

    def _tap_on(self, transport: Any) -> AnyTap:
        local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        return self._open_tap("asyncio", local, peer)

    async def wait_ended(self) -> None:
        """Wait until `closed` has returned and the connection is closed."""
        if self._driver is not None:
            await self._driver.wait_gone()

    async def _connected(self) -> Self:
        await self.connect()
        return self

    def _cancel(self) -> None:
        if self._driver is not None:
            self._driver.cut_off()
            self._driver.cancel()


class Connection(AsyncReceiver, WebSocketClient):
    """Send and receive at will; made by `connect`. The loop reads, and answers Pings."""


def connect(url: str, protocols: Sequence[str] | None = None, **options: Any) -> Connection:
    """Return a `Connection`, which connects when it is entered or awaited.

    Parameters: see `WebSocketBaseClient`. Raises what `WebSocketClient.connect` does.
    """
    return Connection(url, protocols, **options)


class _Opening(asyncio.BufferedProtocol):
    """Send the request and read the answer; then ``carrier`` is there and has the connection."""

    def __init__(self, ws: WebSocketClient) -> None:
        loop = asyncio.get_running_loop()
        self.carrier: asyncio.Future[AsyncioTransport] = loop.create_future()
        self._ws = ws
        self._request = ws.handshake_request
        self._agreeing: Generator[int, Any, bytes] = ws._agreeing()
        self._view = read_buffer(loop, HEAD_PIECE)
        self._transport: Any = None
        next(self._agreeing)

    # What the loop calls

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        self._transport = transport
        transport.write(self._request)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Let the loop read into the buffer that all connections share."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Read on; at the end of the head, agree."""
        self._read(self._view[:nbytes].tobytes())

    def eof_received(self) -> bool:
        """Fail: the answer was cut off."""
        self._read(b"")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Fail, if that was not done."""
        self._transport = None
        if not self.carrier.done():
            lost = error if isinstance(error, OSError) else ConnectionResetError("The server has left")
            self.carrier.set_exception(self.outcome_of(lost))

    # The answer

    def _read(self, data: bytes) -> None:
        if self.carrier.done():
            return
        try:
            try:
                self._agreeing.send(data)
                return
            except StopIteration as stop:
                leftover = stop.value
            self._ws._check_wanted()
            self._ws.handshake_ok()
        except Exception as error:  # noqa: BLE001 - whoever awaits `connect` judges it
            self.carrier.set_exception(error)
        else:
            self._begin(leftover)

    def _begin(self, leftover: bytes) -> None:
        """Let the connection be driven."""
        ws = self._ws
        transport, self._transport = self._transport, None
        local, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        ws._local_address, ws._peer_address = _address(local), _address(peer)
        carrier = AsyncioTransport(ws, ws._limits)
        ws._attach(carrier)
        ws._advance(Event.OPENED)
        self.carrier.set_result(carrier)
        carrier.take_over(transport, leftover)

    def outcome_of(self, error: OSError) -> Exception:
        """Say what becomes of the handshake when it is broken off."""
        return self._ws._outcome_of(self._agreeing, error)

    def cut_off(self) -> None:
        """End the connection, if there is one, as it is."""
        if not self.carrier.cancel() and not self.carrier.cancelled():
            self.carrier.exception()  # whoever awaited it may have been cancelled before
        if self._transport is not None:
            self._transport.abort()


def _address(address: Any) -> Any:
    return address[:2] if isinstance(address, tuple) else address
