"""What the tests of managers share: pollers, peers over TCP, and a manager that leaves nothing behind."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from test.client.peers import QUIET, WAIT, Peer, frame
from ws4py_ng.limits import Limits
from ws4py_ng.manager import EPollPoller, SelectPoller, WebSocketManager

MIB = 1024 * 1024


class OwnPoller:
    """Be the poller of a user: what ws4py documents, and not a method more; particular about descriptors."""

    def __init__(self, timeout: float = 0.1) -> None:
        self.timeout = timeout
        self.fds: set[int] = set()

    def register(self, fd: int) -> None:
        self.fds.add(fd)

    def unregister(self, fd: int) -> None:
        self.fds.remove(fd)

    def poll(self) -> Iterator[int]:
        poll = select.poll()
        for fd in list(self.fds):
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(self.timeout * 1000):
            yield fd

    def release(self) -> None:
        self.fds.clear()


POLLERS = [EPollPoller, SelectPoller, OwnPoller]


class CountingPoller(EPollPoller):
    """Tell how long the next few polls take: no time at all, when something spins."""

    def __init__(self) -> None:
        super().__init__(timeout=0.1)
        self.polls = 0
        self.changed = threading.Condition()

    def poll(self) -> list[int]:
        with self.changed:
            self.polls += 1
            self.changed.notify_all()
        return super().poll()

    def is_quiet(self) -> bool:
        with self.changed:
            target = self.polls + 6
            begun = monotonic()
            assert self.changed.wait_for(lambda: self.polls >= target, WAIT)
        return monotonic() - begun > 0.3


def eventually(condition: Callable[[], object]) -> bool:
    """Wait until something holds that nobody tells."""
    deadline = monotonic() + WAIT
    pause = threading.Event()
    while not condition() and monotonic() < deadline:
        pause.wait(0.005)
    return bool(condition())


def connected(
    context: tuple[ssl.SSLContext, ssl.SSLContext] | None = None, small: bool = False
) -> tuple[socket.socket, Peer]:
    """Connect two sockets, by TLS if there are contexts: the server's and the peer's.

    By TCP; or ``small`` by a Unix socket, as TCP with small buffers waits for its timers.
    """
    if small:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname()[:2], WAIT)
            ours, _ = listener.accept()
    if context is None:
        return ours, Peer(theirs)
    secured: list[ssl.SSLSocket] = []
    thread = threading.Thread(target=lambda: secured.append(context[0].wrap_socket(ours, server_side=True)))
    thread.start()
    peer = Peer(context[1].wrap_socket(theirs, server_hostname="localhost"))
    thread.join(WAIT)
    return secured[0], peer


class Many:
    """Hold a manager and its peers, to make more and to clean up."""

    def __init__(self, manager: WebSocketManager) -> None:
        self.manager = manager
        self.peers: list[Peer] = []

    def join(self, kind: Any, limits: Limits = QUIET, **options: Any) -> tuple[Any, Peer]:
        """Connect a peer, as `connected` does; give the WebSocket that serves it as well."""
        sock, peer = connected(**options)
        self.peers.append(peer)
        ws = kind(sock)
        ws._configure(limits)
        self.manager.add(ws)
        return ws, peer


@contextmanager
def managing(poller: Any = None, start: bool = True) -> Iterator[Many]:
    """Run a manager; at the end nothing of it is left."""
    many = Many(WebSocketManager(poller))
    if start:
        many.manager.start()
    try:
        yield many
    finally:
        for peer in many.peers:
            peer.sock.close()
        many.manager.stop()
        if many.manager.ident is not None:
            many.manager.join(WAIT)
            assert not many.manager.is_alive()


def echoes(peer: Peer, payload: bytes = b"are you there?") -> bool:
    """Tell whether a peer is served."""
    peer.send(frame(2, payload))
    return peer.take_frame() == (2, payload)


class Duck:
    """Be a websocket that is none of ours, with what ws4py's manager used of one."""

    def __init__(self, **attributes: Any) -> None:
        self.sock, self.peer = socket.socketpair()
        self.terminated = False
        self.terminations = 0
        self.openings = 0
        self.__dict__.update(attributes)

    def opened(self) -> None:
        self.openings += 1

    def once(self) -> bool:
        return bool(self.sock.recv(100))

    def terminate(self) -> None:
        self.terminations += 1
        self.sock.close()
        self.peer.close()

    def close(self, code: int, reason: str) -> None:
        self.peer.close()
