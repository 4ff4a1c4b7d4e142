"""The client for tornado.

    async with connect("ws://localhost:9000/") as ws:
        await ws.send("hello")
        print(await ws.receive(timeout=5))

`TornadoWebSocketClient` is to be subclassed instead: its hooks are called, and may be ``async def``.
It is entered or awaited as well. In ws4py's way its method `connect` is called before the loop runs,
and the hooks do the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Self

from ..codes import ABNORMAL_CLOSURE
from ..receiving import AsyncReceiver
from ..transports.asynciokit import open_kit
from ..transports.iostream import IOLoop, IOStream, IOStreamChannel, dial, secure
from .base import HeaderSource
from .block import AsyncioBlock, called_off_by
from .pulled import PulledClient

__all__ = ["Connection", "TornadoWebSocketClient", "connect"]


class TornadoWebSocketClient(AsyncioBlock, PulledClient):
    """Connect, and be served by a task of the loop; hooks may be ``async def``.

    ``io_loop`` is the loop that will run, by default the current one. ``io`` is the IOStream.
    Further parameters: see `WebSocketBaseClient`.
    """

    _carrier = "tornado"

    def __init__(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        extensions: Sequence[Any] | None = None,
        io_loop: IOLoop | None = None,
        ssl_options: Mapping[str, Any] | None = None,
        headers: HeaderSource | None = None,
        exclude_headers: Iterable[str] | None = None,
        *,
        heartbeat_freq: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(url, protocols, extensions, heartbeat_freq, ssl_options, headers, exclude_headers, **options)
        self.io: IOStream | None = None
        self.io_loop = io_loop
        self._task: asyncio.Task[None] | None = None

    def connect(self) -> _Connecting:
        """Begin to connect; await what this returns, or leave it to the hooks.

        Awaited it raises what `WebSocketBaseClient.connect` does. Else `closed` is called, with 1006.
        """
        self._claim()
        io_loop = self.io_loop = self.io_loop or IOLoop.current()
        loop: asyncio.AbstractEventLoop = io_loop.asyncio_loop  # type: ignore[attr-defined]
        connecting = _Connecting(loop.create_future(), self)
        self._task = loop.create_task(self._run(connecting))
        return connecting

    async def wait_ended(self) -> None:
        """Wait until the connection is closed and `closed` has returned."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _connected(self) -> Self:
        await self.connect()
        return self

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, connecting: _Connecting) -> None:
        connected = connecting.future
        try:
            channel = await self._open()
        except Exception as error:  # noqa: BLE001 - whoever awaits `connect` judges it
            if connecting.is_awaited:
                if not connected.done():
                    connected.set_exception(error)
            else:
                self._report(error)
                pending = self._finish(ABNORMAL_CLOSURE, str(error))
                if isawaitable(pending):
                    await pending
            self._release()
            return
        async with open_kit() as kit:
            transport = self._begin_transport(kit, channel)
            if not connected.done():
                connected.set_result(None)
            self.handshake_ok()
            await transport.run()

    async def _open(self) -> IOStreamChannel:
        """Connect and shake hands, within the time for that."""
        is_open = False
        agreeing = self._agreeing()
        try:
            async with asyncio.timeout(self._limits.open_timeout) as scope:
                self._call_off = called_off_by(scope)
                self._check_wanted()
                tls = self._tls()
                with self._naming():
                    stream = await dial(self.host, int(self.port or 0), self.unix_socket_path)
                self.io = stream if tls is None else await secure(stream, *tls)
                channel = IOStreamChannel(self.io)
                await self._shake_hands(channel, agreeing)
                is_open = True
        except TimeoutError as error:
            raise (self._outcome_of(agreeing, self._broken_off()) if scope.expired() else error) from None
        finally:
            if not is_open:
                self._give_up()
                if self.io is not None:
                    self.io.close()
        self._local_address, self._peer_address = channel.address("getsockname"), channel.address("getpeername")
        return channel


class Connection(AsyncReceiver, TornadoWebSocketClient):
    """Send and receive at will; made by `connect`. The loop reads, and answers Pings."""


def connect(url: str, protocols: Sequence[str] | None = None, **options: Any) -> Connection:
    """Return a `Connection`, which connects when it is entered or awaited.

    Parameters: see `WebSocketBaseClient`. Raises what `WebSocketBaseClient.connect` does.
    """
    return Connection(url, protocols, **options)


class _Connecting:
    """Be awaited until the handshake has succeeded, or not at all."""

    def __init__(self, future: asyncio.Future[None], ws: TornadoWebSocketClient) -> None:
        self.future = future
        self.is_awaited = False
        self._ws = ws

    def __await__(self) -> Generator[Any, None, None]:
        self.is_awaited = True
        try:
            yield from self.future.__await__()
        except asyncio.CancelledError:
            self._ws._cancel()
            yield from self._ws.wait_ended().__await__()
            raise
