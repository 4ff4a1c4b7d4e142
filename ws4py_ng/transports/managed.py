"""The blocking driver for a thread that serves many peers and waits for none of them.

Inside `never_waiting` a send gives the kernel what it takes at once, and a read returns what
is there. What the kernel did not take is kept in order, in a backlog; the peer is not read
until that is gone. Outside, in any other thread, everything waits as in `BlockingTransport`,
and the backlog goes out first.

A hook may return `ManagedTransport.pause`, where it would have to wait otherwise: then nothing of
that connection is read until there is room for it, which costs the others nothing.

A backlog is bounded. What a peer leaves unread beyond that ends its connection by Close 1013:
the alternatives are to lose messages in silence, or to wait, which all other peers would pay.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..codes import TRY_AGAIN_LATER
from ..endpoint import Sent
from ..exc import ConnectionClosed
from ..keepalive import PeerTimeout
from ..states import State
from .blocking import BlockingTransport
from .tls_channel import TLSChannel

if TYPE_CHECKING:
    from ..endpoint.sender import Sender
    from ..shared import SharedMessage

__all__ = ["ManagedTransport", "never_waiting"]

logger = logging.getLogger("ws4py_ng")

# Times Limits.max_outbox that a peer may leave unread, beside one message of any size, before
# the next message for it ends the connection: 1 MiB by default.
BACKLOG = 16
# The same for what its own messages made a hook send: 16 MiB. The hook cannot wait, and the
# peer cannot ask for more meanwhile.
OWN_BACKLOG = 256
# A join costs less than a second system call up to about this size.
JOIN_LIMIT = 128 * 1024
# Without DONT_WAIT (Windows) a read is one of a socket that a selector has reported, and a send waits
# for at most the write timeout.
# Bytes that a peer is sent in a turn, so that a fast one does not keep the others waiting.
SHARE = 1024 * 1024
_thread = threading.local()


@contextmanager
def never_waiting() -> Iterator[None]:
    """Let nothing that this thread does to a managed connection wait for the peer."""
    before = _is_hurried()
    _thread.hurried = True
    try:
        yield
    finally:
        _thread.hurried = before


def _is_hurried() -> bool:
    return getattr(_thread, "hurried", False)


class Pause(Sent):
    """Be what a hook returns that is to be gone on from when ``is_over`` says so; `set` lets that be asked.

    ``give_up`` is called instead when the connection ends.
    """

    def __init__(self, is_over: Callable[[], bool], give_up: Callable[[], object], ask: Callable[[], object]) -> None:
        self.is_over = is_over
        self.give_up = give_up
        self.set = ask


class ManagedTransport(BlockingTransport):
    """Serve an endpoint in a thread that must not wait for its peer.

    It takes over where ``before`` stands. ``fell_behind`` is called, by whichever thread sent,
    when something is left that the kernel did not take: `catch_up` is then to be called until
    it says True, and the peer is not to be read before that. It is called, too, when a hook has
    ``paused``, or may go on, which `tick` lets it.
    """

    fell_behind: Callable[[], object] | None = None
    _pause: Pause | None = None

    def __init__(self, before: BlockingTransport) -> None:
        # The very same locks, channel and session: a thread may be sending at this moment.
        vars(self).update(vars(before))
        self._is_real = isinstance(self.channel.sock, socket.socket)
        self._backlog: deque[memoryview] = deque()
        self._unsent = 0
        self._behind = 0
        self._largest = 0
        self._moved_at = 0.0
        self._peer_ended = False

    # Pausing

    @property
    def paused(self) -> bool:  # type: ignore[override]
        """Whether nothing is to be read: a hook has no room for more."""
        return self._pause is not None

    def pause(self, is_over: Callable[[], bool], give_up: Callable[[], object]) -> Pause:
        """Return what a hook returns to have nothing read until ``is_over``."""
        return Pause(is_over, give_up, self._call_attention)

    def _call_attention(self) -> None:
        if self.fell_behind is not None:
            self.fell_behind()

    def _waited(self, step: object) -> Any:
        if not isinstance(step, Pause):
            return super()._waited(step)
        self._pause = step
        self._call_attention()
        return 1

    def _resume(self, data: bytes | None, error: Exception | None = None) -> bool:
        pause, self._pause = self._pause, None
        if pause is not None:  # this is the end: nothing else is told to a session that has paused
            pause.give_up()
            if not super()._resume(None):
                return False
        return super()._resume(data, error)

    def _goes_on(self) -> bool:
        """Go on where a hook has paused, if there is room; False when the session is over."""
        pause = self._pause
        if pause is None or not pause.is_over():
            return True
        self._pause = None
        self._endpoint._keepalive.active = True  # nobody is to blame for a silence that was not listened to
        return self._resume(None)

    # Sending

    def written(self) -> None:
        """Send the outbox, unless more of what was read is about to be answered."""
        if _is_hurried():
            self._check_pace()
        super().written()

    def flush(self) -> None:
        """Send the outbox; raises ConnectionClosed if the connection is gone."""
        endpoint = self._endpoint
        hurried = _is_hurried()
        # Whoever cannot get the lock leaves its frames in the outbox, so whoever had it looks there again.
        while self._writing.acquire(blocking=not hurried):
            try:
                self._queue()
                if self._broken:
                    raise OSError(errno.EPIPE, "sending has failed before")
                if hurried:
                    self._send_what_goes()
                else:
                    self._send_all()
            except OSError as error:
                self._break(error)
            finally:
                self._writing.release()
            if self._backlog or not endpoint._outbox:
                break
        self._behind = self._unsent + endpoint._outbox.size
        if not self._behind:
            endpoint._relieved()
        elif hurried and self.fell_behind is not None:
            self.fell_behind()

    def post(self, sender: Sender, message: SharedMessage) -> bool:
        """Send a message that others are sent as well, unless the peer is behind."""
        if not sender._put(message, self._limits.max_outbox - self._behind):
            return False
        self.push()
        return True

    def push(self) -> None:
        """Give the kernel what it takes of the outbox; the manager's thread sends the rest."""
        with never_waiting(), suppress(ConnectionClosed):
            self.flush()

    def _check_pace(self) -> None:
        """Close when the peer has left too much unread of what was sent before."""
        own = self._turn_of == self._kit.ident()
        allowed = self._limits.max_outbox * (OWN_BACKLOG if own else BACKLOG)
        if self._behind - self._largest <= allowed:
            return
        # While another thread sends, what waits for its turn is in the outbox, not looked at yet.
        self._largest = max(self._largest, self._endpoint._outbox.largest)
        if self._behind - self._largest <= allowed:
            return
        if self._endpoint._state is State.OPEN:
            name, left = type(self._endpoint).__name__, self._behind
            logger.warning("%s is closed with 1013: its peer has left %d bytes unread", name, left)
        self._endpoint.close(TRY_AGAIN_LATER, "Too much is left unread")

    def _queue(self) -> None:
        if not self._backlog:
            self._moved_at = monotonic()
            self._largest = 0
        self._largest = max(self._largest, self._endpoint._outbox.largest)
        pieces = self._endpoint._take_outbox()
        size = sum(map(len, pieces))
        if len(pieces) > 1 and size <= JOIN_LIMIT:
            pieces = [b"".join(pieces)]
        self._backlog.extend(map(memoryview, pieces))
        self._unsent += size

    def _send_what_goes(self) -> None:
        backlog = self._backlog
        left_before = self._behind
        enough = self._unsent - SHARE
        while backlog and self._unsent > enough:
            sent = self._try_send(backlog[0][:SHARE])
            if not sent:
                return
            self._unsent -= sent
            if left_before:  # the kernel had no room: it has some only because the peer took something
                self._moved_at = monotonic()
                self._endpoint._keepalive.active = True
            if sent == len(backlog[0]):
                backlog.popleft()
            else:
                backlog[0] = backlog[0][sent:]

    def _try_send(self, piece: memoryview) -> int:
        channel: Any = self.channel
        if not self._is_real:
            channel.send([piece])
            return len(piece)
        return int(channel.send_now(piece))

    def _send_all(self) -> None:
        pieces: list[Any] = list(self._backlog)
        self._backlog.clear()
        self._unsent = 0
        if pieces:
            self.channel.send(pieces)

    def _break(self, error: OSError) -> None:
        self._broken = True
        self._backlog.clear()
        self._unsent = self._behind = 0
        self._endpoint._lost()
        self.channel.cut()
        raise ConnectionClosed(f"Cannot send on a terminated websocket: {error}") from error

    @property
    def behind(self) -> int:
        """How many bytes the peer has yet to take, when that was last looked at."""
        return self._behind

    @property
    def being_written(self) -> bool:
        """Whether a thread is sending, and perhaps waits for the peer."""
        return bool(self._writing.locked())

    def catch_up(self) -> bool:
        """Send what was left; False while the peer does not take it."""
        with suppress(ConnectionClosed):
            self.flush()
        return not self._behind

    def check_progress(self) -> bool:
        """Give up a peer that has taken nothing for too long; False then."""
        timeout = self._limits.write_timeout
        if timeout is None or self.being_written or monotonic() < self._moved_at + timeout:
            return True
        self.break_off(PeerTimeout(f"The peer took nothing for {timeout:g} s"))
        self._broken = True
        return False

    # Receiving

    def receive(self, size: int) -> bytes | None:
        """Read once; None if nothing is there, or came in time."""
        if not _is_hurried():
            if self._behind:
                self.catch_up()
            return super().receive(size)
        channel: Any = self.channel
        if isinstance(channel, TLSChannel):
            patience, channel.read_timeout = channel.read_timeout, 0.0
            try:
                return super().receive(size)
            finally:
                channel.read_timeout = patience
        if not self._is_real:
            return super().receive(size)
        data: bytes | None = channel.recv_now(size)
        return data

    def tick(self) -> bool:
        """Look at the timers if it is time to; False when the session is over.

        A peer that has to catch up is judged by what it takes, as its Pongs are not read; one that waits
        for a hook of ours not at all.
        """
        if not self._goes_on():
            return False
        if self.paused or (self._behind and self._endpoint._state is State.OPEN):
            return self._session is not None
        return super().tick()

    # Hanging up, in steps that do not wait: `leave`, then `see_off` until it says True

    @property
    def over(self) -> bool:
        """Whether nothing more comes of this connection."""
        return self._endpoint._state is State.CLOSED or (self._session is None and self.ending is not None)

    @property
    def close_timeout(self) -> float | None:
        """How long our Close frame may take."""
        return self._limits.close_timeout

    def leave(self) -> bool:
        """End what is left of the session; False if there is nothing to send, or to wait for."""
        self._peer_ended = self._endpoint._stream.at_eof
        if self._session is not None:
            self.feed(b"")
        unsent = self._behind > 0 or self.being_written
        if self._peer_ended and not unsent and not self._broken:
            self._end_tls()
        return not self._broken and (unsent or (self._is_real and not self._peer_ended))

    def half_close(self) -> bool:
        """Say that nothing more comes from us; True if the peer has said the same already.

        A client leaves it to the server to go first (RFC 6455 7.1.1).
        """
        channel, ending = self.channel, self.ending
        if ending is None or not ending.clean or self._endpoint._stream.always_mask is not True:
            self._end_tls()
            channel.end_writing()
        return self._peer_ended

    def _end_tls(self) -> None:
        """Say the good-bye that TLS owes a peer (RFC 8446 6.1), if there is TLS."""
        if isinstance(self.channel, TLSChannel):
            self.channel.end_tls()

    def see_off(self) -> bool:
        """Forget what still comes, as closing before the peer does could destroy what is on
        its way to it; True when the peer has ended its half, too."""
        return bool(self.channel.forget_now())
