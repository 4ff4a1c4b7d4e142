"""trio: a kit and a channel for `PullTransport`, and streams. The only module that knows trio."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any

import trio
from trio import (
    TASK_STATUS_IGNORED,
    CancelScope,
    Event,
    Nursery,
    SocketListener,
    SocketStream,
    TaskStatus,
    fail_after,
    move_on_after,
    open_nursery,
    sleep,
)
from trio.lowlevel import Task, current_task

from .kits import LAST_WORDS

__all__ = [
    "TASK_STATUS_IGNORED",
    "CancelScope",
    "Event",
    "Nursery",
    "SocketListener",
    "SocketStream",
    "Task",
    "TaskStatus",
    "TrioChannel",
    "TrioKit",
    "called_off_by",
    "current_task",
    "dial",
    "fail_after",
    "lineage",
    "listen",
    "move_on_after",
    "open_kit",
    "open_nursery",
    "secure",
    "sleep",
]

# Written at once: the peer is known to take something when it has taken this much.
PORTION = 64 * 1024
# A TLS peer that was silent for so long has said all that it will.
QUIET = 0.2


class TrioKit:
    """Be the kit of trio; the tasks are the nursery's."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()

    def now(self) -> float:
        """Return the time of trio's clock."""
        return trio.current_time()

    def call_at(self, when: float, callback: Callable[[], object]) -> Callable[[], object]:
        """Call a function later; return what calls it off."""
        scope = CancelScope()

        async def wait() -> None:
            with scope:
                await trio.sleep_until(when)
            if not scope.cancel_called:
                callback()

        self._nursery.start_soon(wait)
        return scope.cancel

    @property
    def home(self) -> trio.lowlevel.TrioToken:
        """The token of the run."""
        return self._token

    def call_threadsafe(self, callback: Callable[[], object]) -> None:
        """Call a function soon, at the request of another thread."""
        self._token.run_sync_soon(callback)

    def spawn(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task beside the connection."""
        self._nursery.start_soon(task)

    def event(self) -> Event:
        """Return a new event."""
        return Event()

    def scope(self) -> CancelScope:
        """Return a scope to be cancelled from outside."""
        return CancelScope()

    async def breathe(self) -> None:
        """Let all others have their turn."""
        await trio.lowlevel.checkpoint()

    def ends_all(self, error: BaseException) -> bool:
        """Tell whether what a hook raised ends the program, or a scope."""
        return isinstance(error, trio.Cancelled | BaseExceptionGroup | KeyboardInterrupt | SystemExit)

    def last_words(self) -> AbstractContextManager[object]:
        """Let a task that is cancelled wait inside, for a bounded time."""
        return move_on_after(LAST_WORDS, shield=True)


@asynccontextmanager
async def open_kit() -> AsyncIterator[TrioKit]:
    """Return a kit whose tasks end with the `async with`."""
    async with open_nursery() as nursery:
        try:
            yield TrioKit(nursery)
        finally:
            nursery.cancel_scope.cancel()


def lineage() -> set[Task]:
    """Return the running task, and those whose nurseries it runs in."""
    found: set[Task] = set()
    task: Task | None = current_task()
    while task is not None:
        found.add(task)
        task = None if task.parent_nursery is None else task.parent_nursery.parent_task
    return found


async def listen(host: str | None, port: int, sock: socket.socket | None = None) -> list[SocketListener]:
    """Return listeners: of ``sock``, or of every address of a host."""
    if sock is not None:
        sock.setblocking(False)
        return [SocketListener(trio.socket.from_stdlib_socket(sock))]
    return list(await trio.open_tcp_listeners(port, host=host, backlog=1024))


def called_off_by(scope: CancelScope) -> Callable[[], object]:
    """Return what cancels a scope, from any thread."""
    token = trio.lowlevel.current_trio_token()
    return lambda: token.run_sync_soon(scope.cancel)


async def dial(host: str, port: int, unix_path: str | None = None) -> SocketStream:
    """Connect to a host, by whichever of its addresses answers first, or to a Unix socket."""
    if unix_path is not None:
        return await trio.open_unix_socket(unix_path)
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        cause = error.__cause__
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, OSError):
            raise cause from None
        raise


async def secure(
    stream: SocketStream, context: ssl.SSLContext, server_hostname: str | None = None, *, server_side: bool = False
) -> trio.SSLStream[SocketStream]:
    """Shake hands by TLS. Raises ssl.SSLError, or ConnectionResetError."""
    secured = trio.SSLStream(
        stream, context, server_hostname=server_hostname, server_side=server_side, https_compatible=True
    )
    try:
        await secured.do_handshake()
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise error.__cause__ from None
        raise ConnectionResetError("The peer has left within the TLS handshake") from error
    return secured


class TrioChannel:
    """Carry bytes over a SocketStream, or an SSLStream over one."""

    def __init__(self, stream: SocketStream | trio.SSLStream[SocketStream]) -> None:
        self._stream = stream
        self._below = stream if isinstance(stream, SocketStream) else stream.transport_stream
        self._at_eof = False

    async def read(self, size: int) -> bytes | bytearray:
        """Return what came."""
        if self._at_eof:
            return b""
        try:
            data = await self._stream.receive_some(size)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._at_eof = True
            if isinstance(error.__cause__, ssl.SSLEOFError):
                return b""
            raise ConnectionResetError(str(error.__cause__ or error)) from error
        self._at_eof = not data
        return data

    async def write(self, pieces: list[bytes], moved: Callable[[], object]) -> None:
        """Send bytes."""
        data = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        for start in range(0, len(data), PORTION):
            try:
                await self._stream.send_all(data[start : start + PORTION])
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ConnectionResetError(str(error.__cause__ or error)) from error
            moved()

    async def hang_up(self, heard_out: bool) -> None:
        """End what we send, and read until the peer has ended as well."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            if isinstance(self._stream, trio.SSLStream):
                if not heard_out and not self._at_eof:
                    await self._listen()
                await self._stream.unwrap()
            await self._below.send_eof()
            while await self._below.receive_some(PORTION):
                pass

    async def _listen(self) -> None:
        """Read until the peer is quiet: TLS cannot end while it speaks."""
        while True:
            with move_on_after(QUIET) as scope:
                if not await self._stream.receive_some(PORTION):
                    return
            if scope.cancelled_caught:
                return

    def cut_off(self) -> None:
        """Close the socket; whoever waits for it wakes."""
        self._below.socket.close()

    def address(self, method: str) -> Any:
        """Return an address, ``getsockname`` or ``getpeername``; None when it is not known any more."""
        try:
            address = getattr(self._below.socket, method)()
        except OSError:
            return None
        return address[:2] if isinstance(address, tuple) else address or None
