"""Recordings through each transport's driver, over a TCP connection of the loopback.

The peer sends what is to arrive in the pieces that are wanted: each one when that before has been read.
``python -m test.capture.provided LIBRARY TRACE`` does so for gevent or eventlet, in a process of its own.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from test.recordings.scenes import SCENES
from ws4py_ng.capture import Connection, read
from ws4py_ng.capture.conversation import Conversation, understand
from ws4py_ng.capture.cuts import cuts_of, pieces
from ws4py_ng.capture.frames import FrameScanner, scan
from ws4py_ng.capture.live import _is_keepalive
from ws4py_ng.capture.replaying import Call, _steps, endpoint_for, watch
from ws4py_ng.codes import PONG
from ws4py_ng.limits import DEFAULT_LIMITS, Limits
from ws4py_ng.manager import WebSocketManager
from ws4py_ng.transports.aio import AsyncioTransport
from ws4py_ng.websocket import WebSocket

HERE = Path(__file__).parent.parent / "recordings"
EVERY, BYTES = 70, 200  # how many bytes are cut at every offset, or into single ones
CLIENT = "client"  # the name of a recording that a client made, of `Talks`


class Talks(WebSocket):
    """Say little, as a client; a recording of it is made by `record_client`."""

    def opened(self) -> None:
        self.send("hello")
        self.ping("there?")
        self.send(["one ", "message"])
        self.send("word " * 100)

    def received_message(self, message: Any) -> None:
        if message.data.startswith(b"word"):
            self.close(4000, "bye")


class Played:
    """Hold one run: a class, driven by a conversation that is cut somewhere."""

    def __init__(self, conversation: Conversation, app: type[WebSocket], limits: Limits, cuts: list[int]) -> None:
        self.conversation = conversation
        self._app = app
        self._limits = limits
        self._cuts = cuts
        self.sent = bytearray()
        self.calls: list[Call] = []

    @contextmanager
    def connected(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Give both ends of a connection, that of the peer first."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            mine = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        with mine, theirs:
            for sock in (mine, theirs):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            mine.setblocking(False)
            yield mine, theirs

    def endpoint(self, sock: Any = None) -> Any:
        """Make the WebSocket."""
        made = endpoint_for(self.conversation, partial(self._app, sock), self._limits)
        watch(made, self.calls)
        return made

    def play(self, endpoint: Any, mine: socket.socket, theirs: Any) -> Iterator[None]:
        """Be the peer, and yield when there is something to wait for."""
        pongs: set[bytes] = set()
        scanner = FrameScanner()
        for kind, data, before in self._script():
            while len(self.sent) < before and self._read(mine):
                yield
            if kind == "data":
                pongs.update(frame.payload for frame in scanner.feed(data) if frame.opcode == PONG)
                yield from self._send(mine, theirs, data)
            elif kind == "eof":
                with suppress(OSError):
                    mine.shutdown(socket.SHUT_WR)
            elif kind == "error":
                mine.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                mine.close()
                return
            elif kind == "ping":
                # The Pong for the last one may have been read by another thread, and not been looked at yet.
                while endpoint._keepalive._payload in pongs and self._read(mine):
                    yield
                endpoint._keepalive._payload = data
                endpoint._send_ping(data)
            else:
                endpoint._send_pong(data)
        while self._read(mine):
            yield
        mine.close()

    def _script(self) -> Iterator[tuple[str, bytes, int]]:
        """Say what happens, and how much has to have come before."""
        frames = scan(self.conversation.data(outgoing=True))
        own = iter([frame.offset for frame in frames if _is_keepalive(frame)])
        pending, offset = b"", 0
        for step in _steps(self.conversation):
            if step.kind == "data":
                pending += step.data
                continue
            for piece in pieces(pending, offset, self._cuts):
                yield "data", piece, 0
            pending, offset = b"", offset + len(pending)
            before = next(own) if step.kind in ("ping", "beep") else 0
            yield step.kind, step.data, len(self.conversation.data(outgoing=True)) if step.kind == "error" else before
        for piece in pieces(pending, offset, self._cuts):
            yield "data", piece, 0

    def _read(self, mine: socket.socket) -> bool:
        """Read what is there; False at the end."""
        try:
            data = mine.recv(1 << 20)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self.sent += data
        return data != b""

    def _send(self, mine: socket.socket, theirs: Any, data: bytes) -> Iterator[None]:
        """Send a piece, and wait until it was read."""
        view = memoryview(data)
        while view:
            try:
                view = view[mine.send(view) :]
            except BlockingIOError:
                self._read(mine)
                yield
            except ConnectionError:
                return
        while _unread(theirs) and self._read(mine):
            yield

    def check(self, expected: list[Call]) -> None:
        """Check that the same was sent, byte by byte, and that the hooks saw the same."""
        recorded = self.conversation.data(outgoing=True)
        assert recorded == self.sent, (self._cuts, recorded[:200], bytes(self.sent[:200]))
        assert expected == _comparable(self.calls), self._cuts


def _comparable(calls: list[Call]) -> list[Call]:
    """Leave out the words for a connection that broke, which are the system's."""
    return [call._replace(data=None) if call.kind == 1006 else call for call in calls]


def _unread(sock: Any) -> int:
    """Return how many bytes wait to be read; none when the socket is closed."""
    with suppress(OSError, ValueError):
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
    return 0


# What drives a WebSocket over a socket, to its end

Drive = Callable[[Played], object]


@contextmanager
def by_threads() -> Iterator[Drive]:
    """Let a thread serve it."""
    with ThreadPoolExecutor(1) as pool:

        def drive(played: Played) -> None:
            with played.connected() as (mine, theirs):
                endpoint = played.endpoint(theirs)
                done = pool.submit(endpoint.run)
                for _ in played.play(endpoint, mine, theirs):
                    time.sleep(0)
                done.result()

        yield drive


@contextmanager
def by_manager() -> Iterator[Drive]:
    """Let the thread of a manager serve it."""
    manager = WebSocketManager()
    manager.start()

    def drive(played: Played) -> None:
        with played.connected() as (mine, theirs):
            endpoint = played.endpoint(theirs)
            manager.add(endpoint)
            for _ in played.play(endpoint, mine, theirs):
                time.sleep(0)
            # Until the manager has let go of the socket: closed here, its descriptor could be that of the
            # next connection while the manager's thread is about to read or end this one.
            while theirs.fileno() != -1:
                time.sleep(0)

    try:
        yield drive
    finally:
        manager.stop()
        manager.join()


@contextmanager
def by_asyncio(new_loop: Callable[[], Any] | None = None) -> Iterator[Drive]:
    """Let the protocol of asyncio serve it."""

    async def drive(played: Played) -> None:
        with played.connected() as (mine, theirs):
            endpoint = played.endpoint()
            theirs.setblocking(False)
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(_Waiting, theirs)
            carrier = AsyncioTransport(endpoint, endpoint._limits)
            endpoint._attach(carrier)
            carrier.take_over(transport)
            transport.resume_reading()
            for _ in played.play(endpoint, mine, theirs):
                await asyncio.sleep(0)
            await carrier.wait_gone()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        yield lambda played: runner.run(drive(played))


class _Waiting(asyncio.Protocol):
    """Read nothing before the connection has its driver."""

    def connection_made(self, transport: Any) -> None:
        transport.pause_reading()


def by_uvloop() -> Any:
    """Let the same protocol serve it, with uvloop."""
    import uvloop

    return by_asyncio(uvloop.new_event_loop)


@contextmanager
def by_tornado() -> Iterator[Drive]:
    """Let an IOStream of tornado carry it."""
    from ws4py_ng.transports.asynciokit import open_kit
    from ws4py_ng.transports.iostream import IOStream, IOStreamChannel
    from ws4py_ng.transports.pulling import PullTransport

    async def drive(played: Played) -> None:
        with played.connected() as (mine, theirs):
            endpoint = played.endpoint()
            theirs.setblocking(False)
            channel = IOStreamChannel(IOStream(theirs))
            async with open_kit() as kit:
                carrier = PullTransport(endpoint, endpoint._limits, kit, channel, endpoint._release)
                endpoint._attach(carrier)
                serving = asyncio.ensure_future(carrier.run())
                for _ in played.play(endpoint, mine, theirs):
                    await asyncio.sleep(0)
                await serving

    with asyncio.Runner() as runner:
        yield lambda played: runner.run(drive(played))


@contextmanager
def by_trio() -> Iterator[Drive]:
    """Let a task of trio serve it."""
    import trio

    from ws4py_ng.transports.pulling import PullTransport
    from ws4py_ng.transports.trio_ import TrioChannel, open_kit

    async def drive(played: Played) -> None:
        with played.connected() as (mine, theirs):
            endpoint = played.endpoint()
            theirs.setblocking(False)
            channel = TrioChannel(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))
            async with trio.open_nursery() as nursery, open_kit() as kit:
                carrier = PullTransport(endpoint, endpoint._limits, kit, channel, endpoint._release)
                endpoint._attach(carrier)

                async def play() -> None:
                    for _ in played.play(endpoint, mine, theirs):
                        await trio.lowlevel.checkpoint()

                nursery.start_soon(play)
                await carrier.run()

    yield lambda played: trio.run(drive, played)


@contextmanager
def by_greenlets(library: str) -> Iterator[Drive]:
    """Let a greenlet of gevent or eventlet serve it."""
    module = importlib.import_module(library)
    kit = importlib.import_module(f"ws4py_ng.transports.{library}_kit")

    def drive(played: Played) -> None:
        with played.connected() as (mine, theirs):
            sock = kit.socket.socket(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach())
            endpoint = played.endpoint(sock)
            serving = module.spawn(kit.serve, endpoint)
            for _ in played.play(endpoint, mine, sock):
                module.sleep(0)
            serving.get() if library == "gevent" else serving.wait()
            sock.close()

    yield drive


DRIVERS: dict[str, Callable[[], Any]] = {
    "threads": by_threads,
    "manager": by_manager,
    "asyncio": by_asyncio,
    "uvloop": by_uvloop,
    "tornado": by_tornado,
    "trio": by_trio,
}


# What is tried


def runs(connection: Connection, app: type[WebSocket], limits: Limits = DEFAULT_LIMITS) -> Iterator[Played]:
    """Give a recording in several chunkings; each byte by itself, and every split, where it is short."""
    conversation = understand(connection)
    sizes = [len(step.data) for step in _steps(conversation) if step.kind == "data"]
    found = [*cuts_of("recorded", sizes, 0), *cuts_of("whole", sizes, 0)]
    if sum(sizes) <= BYTES:
        found += cuts_of("bytes", sizes, 0)
    found += cuts_of("every", sizes, 0) if sum(sizes) <= EVERY else list(cuts_of("random", sizes, 6))[:6]
    for cuts in found:
        yield Played(conversation, app, replace(limits, ping_interval=None), cuts)


def recordings(name: str, trace: Path | None = None) -> Iterator[Played]:
    """Give the runs of a recording: of a scene, or of `Talks`."""
    if name == CLIENT:
        assert trace is not None
        return runs(read(trace).connection(), Talks)
    scene = SCENES[name]
    connection = read(HERE / f"{name}.wscap.gz").connection()
    return runs(connection, scene.app, scene.options.get("limits", DEFAULT_LIMITS))


def check(drive: Drive, every_run: Iterator[Played]) -> None:
    """Check each run, and that what the hooks see does not depend on the cuts."""
    expected: list[Call] | None = None
    for played in every_run:
        drive(played)
        expected = _comparable(played.calls) if expected is None else expected
        played.check(expected)
    assert expected
    assert expected[0].hook == "opened"
    assert expected[-1].hook == "closed"


if __name__ == "__main__":
    with by_greenlets(sys.argv[1]) as drive:
        for name in [*SCENES, CLIENT]:
            check(drive, recordings(name, Path(sys.argv[2])))
