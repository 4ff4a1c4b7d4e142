"""The client for trio.

    async with connect("ws://localhost:9000/") as ws:
        await ws.send("hello")
        print(await ws.receive(timeout=5))

`WebSocketClient` is to be subclassed instead: its hooks run in a task of their own.
Without the `async with`: ``await nursery.start(ws.run)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from ..receiving import AsyncReceiver
from ..transports.trio_ import (
    TASK_STATUS_IGNORED,
    Nursery,
    TaskStatus,
    TrioChannel,
    called_off_by,
    dial,
    move_on_after,
    open_kit,
    open_nursery,
    secure,
)
from .pulled import PulledClient

__all__ = ["Connection", "WebSocketClient", "connect"]


class WebSocketClient(PulledClient):
    """Connect when it is entered, be closed when it is left; hooks may be ``async def``.

    Parameters: see `WebSocketBaseClient`. Entering raises what `WebSocketBaseClient.connect` does.
    """

    _carrier = "trio"
    _manager: Any = None
    _nursery: Nursery | None = None

    async def __aenter__(self) -> Self:
        channel = await self._open()
        self._manager = open_nursery()
        self._nursery = await self._manager.__aenter__()
        try:
            await self._nursery.start(self._serve, channel)
        except BaseException:
            # Nobody leaves what could not be entered, and trio wants every nursery closed.
            self._nursery.cancel_scope.cancel()
            await self._manager.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        nursery, self._nursery = self._nursery, None
        manager, self._manager = self._manager, None
        assert nursery is not None
        if error is None:
            self.close()
        else:
            nursery.cancel_scope.cancel()
        # What ended the block is no error of the nursery's, and reaches the caller as it is.
        await manager.__aexit__(None, None, None)

    async def run(  # type: ignore[override]
        self, task_status: TaskStatus[Self] = TASK_STATUS_IGNORED
    ) -> None:
        """Connect, and serve the connection to its end; for ``await nursery.start(ws.run)``."""
        channel = await self._open()
        await self._serve(channel, task_status=task_status)

    async def _serve(self, channel: TrioChannel, task_status: TaskStatus[Any] = TASK_STATUS_IGNORED) -> None:
        try:
            async with open_kit() as kit:
                transport = self._begin_transport(kit, channel)
                task_status.started(self)
                await transport.run()
        finally:
            channel.cut_off()

    async def _open(self) -> TrioChannel:
        """Connect and shake hands, within the time for that."""
        self._claim()
        timeout = self._limits.open_timeout
        channel: TrioChannel | None = None
        is_open = False
        agreeing = self._agreeing()
        try:
            with move_on_after(float("inf") if timeout is None else timeout) as scope:
                self._call_off = called_off_by(scope)
                tls = self._tls()
                with self._naming():
                    stream = await dial(self.host, int(self.port or 0), self.unix_socket_path)
                channel = TrioChannel(stream)
                if tls is not None:
                    channel = TrioChannel(await secure(stream, *tls))
                await self._shake_hands(channel, agreeing)
                is_open = True
            if not is_open:
                raise self._outcome_of(agreeing, self._broken_off())
        finally:
            if not is_open:
                self._give_up()
                if channel is not None:
                    channel.cut_off()
        assert channel is not None
        self._local_address, self._peer_address = channel.address("getsockname"), channel.address("getpeername")
        return channel


class Connection(AsyncReceiver, WebSocketClient):
    """Send and receive at will; made by `connect`. A task of its own reads, and answers Pings."""


def connect(url: str, protocols: Sequence[str] | None = None, **options: Any) -> Connection:
    """Return a `Connection`, which connects when it is entered, or run in a nursery.

    Parameters: see `WebSocketBaseClient`. Raises what `WebSocketBaseClient.connect` does.
    """
    return Connection(url, protocols, **options)
