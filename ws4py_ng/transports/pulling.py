"""The async driver for whoever is asked for bytes: trio, tornado's IOStream, ASGI.

`run` is awaited by whoever serves the connection. It reads when the session is hungry,
awaits async hooks, and writes what they sent before it reads on. What other tasks send is
written by a task of the transport's own, so that a sender who is cancelled tears no frame;
whoever awaits a send waits for that task. It knows no library: a `Kit` brings what trio and
asyncio do each in their own way, a `Channel` what carries the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from inspect import isawaitable
from math import inf
from threading import Lock, get_ident
from types import coroutine
from typing import TYPE_CHECKING, Any

from ..codes import ABNORMAL_CLOSURE, GOING_AWAY
from ..endpoint import SENT, Ending, Endpoint, Sent, Step
from ..exc import ConnectionClosed
from ..keepalive import PeerTimeout
from ..states import State
from .fragments import AsyncFragments
from .kits import Channel, Event, Kit, Scope

if TYPE_CHECKING:
    from ..endpoint.sender import Sender
    from ..limits import Limits
    from ..shared import SharedMessage

__all__ = ["LINGER", "Channel", "Event", "Kit", "PullTransport", "Scope"]

# How long a connection that we ended is read on, so that the peer can read our Close frame.
LINGER = 2.0


class PullTransport:
    """Drive an endpoint over a channel; ``ending`` says how it ended, ``on_end`` is told when all is over."""

    def __init__(self, ws: Endpoint, limits: Limits, kit: Kit, channel: Channel, on_end: Callable[[], object]) -> None:
        self._ws = ws
        self._on_end: Callable[[], object] | None = on_end
        self._limits = limits
        self._kit = kit
        self._channel = channel
        self.ends_all = kit.ends_all
        self._session: Generator[Step, Any, Ending] | None = None
        self._thread = get_ident()
        self._in_turn = False
        self._listening = False
        self._writing = False
        self._in_flight = 0
        self._room: Event | None = None
        self._moved_at = 0.0
        self._gone = False
        self._why: Exception | None = None
        self._ticked = State.CONNECTING
        self._timer: Callable[[], object] | None = None
        self._watch: Callable[[], object] | None = None
        self._is_over = False
        self._over: Event | None = None
        self.guard = Lock()
        self.fragments = AsyncFragments(ws, lambda: kit, limits.max_unsent, self._thread)
        self.ending: Ending | None = None

    # What an endpoint wants of its transport

    def now(self) -> float:
        """Return the time in seconds."""
        return self._kit.now()

    def written(self) -> Sent:
        """Send the outbox at the end of the turn, or from a task of its own."""
        if get_ident() != self._thread:
            return self._written_elsewhere()
        ws = self._ws
        if ws._state is not self._ticked:
            self._look_at_timers()
        if not self._in_turn:
            self._start_writing()
        size = self._in_flight + ws._outbox.size
        if size < self._limits.max_outbox:
            return SENT
        ws._outbox.is_full = size >= self._limits.max_unsent
        room = ws._crowded = _Room(self)
        return room

    def _written_elsewhere(self) -> Sent:
        ws = self._ws
        if ws._outbox.size >= self._limits.max_unsent:
            ws._outbox.is_full = True
        try:
            self._kit.call_threadsafe(self._notice)
        except RuntimeError as error:
            ws._lost()
            raise ConnectionClosed(f"Cannot send on a terminated websocket: {error}") from error
        return SENT

    def _notice(self) -> None:
        """Send what another thread has put into the outbox."""
        if not self._is_over:
            self.written()

    # For who sends to many

    @property
    def home(self) -> object:
        """The loop, or what an async library has for one."""
        return self._kit.home

    def call_home(self, callback: Callable[[], object]) -> None:
        """Call a function in the loop's thread."""
        callback() if get_ident() == self._thread else self._kit.call_threadsafe(callback)

    def post(self, sender: Sender, message: SharedMessage) -> bool:
        """Send a message that others are sent as well, unless the peer is behind."""
        has_room = sender._put(message, self._limits.max_outbox - self._in_flight)
        if has_room:
            self.written()
        return has_room

    def push(self) -> None:
        """Send the outbox."""
        with suppress(ConnectionClosed):
            self.written()

    # Writing

    async def flush(self) -> None:
        """Write the outbox, or wait for who is writing it; what fails ends the connection."""
        while self._writing or (self._ws._outbox and not self._gone):
            if self._writing:
                await self._wait_for_room()
            else:
                self._writing = True
                await self._write_out()

    def _start_writing(self) -> None:
        if not self._writing and self._ws._outbox and not self._is_over:
            self._writing = True
            self._kit.spawn(self._write_out)

    async def _write_out(self) -> None:
        ws = self._ws
        self._moved()
        self._watch_writing()
        try:
            while ws._outbox and not self._gone:
                self._in_flight = ws._outbox.size
                await self._channel.write(ws._take_outbox(), self._moved)
                self._in_flight = 0
                if ws._outbox.size < self._limits.max_outbox:
                    self._let_senders_go()
            # Not in a `finally`: behind half a frame, which a cancelled write may leave, nothing can be said.
            self._writing = False
        except OSError as error:
            self._writing = False
            self._break(error)
        finally:
            self._let_senders_go()

    async def _wait_for_room(self) -> None:
        if self._room is None:
            self._room = self._kit.event()
        await self._room.wait()

    def _let_senders_go(self) -> None:
        self._ws._crowded = None
        self._ws._outbox.is_full = False
        room, self._room = self._room, None
        if room is not None:
            room.set()
        self._ws._relieved()

    def _moved(self) -> None:
        self._moved_at = self._kit.now()

    def _watch_writing(self) -> None:
        """Look, once in a while and not at each write, whether the peer takes something."""
        timeout = self._limits.write_timeout
        if self._watch is None and timeout is not None:
            self._watch = self._kit.call_at(self._moved_at + timeout, self._look_at_writing)

    def _look_at_writing(self) -> None:
        timeout = self._limits.write_timeout
        self._watch = None
        if not self._writing or timeout is None:
            return
        if self._kit.now() >= self._moved_at + timeout:
            self._break(PeerTimeout(f"The peer has taken nothing for {timeout:g} s (Limits.write_timeout)"))
        else:
            self._watch_writing()

    def _break(self, error: Exception) -> None:
        """End the session, which waits for bytes or for a hook, by ending what it waits for."""
        if not self._gone:
            self._why = error
            self.cut_off()

    def cut_off(self) -> None:
        """End the connection as it is."""
        if not self._gone:
            self._gone = True
            self._ws._lost()
            self.fragments.give_up()
        self._channel.cut_off()
        self._let_senders_go()

    # Driving

    async def run(self) -> Ending | None:
        """Serve the connection to its end. If that is cancelled, the peer is told 1001."""
        session = self._session = Endpoint.session(self._ws)
        try:
            step = self._resume(session.__next__)
            self._look_at_timers()
            while True:
                if self._ws._crowded is not None or (self._ws._outbox and not self._writing):
                    await self.flush()
                step = await (self._fed(session) if type(step) is int else self._awaited(session, step))  # type: ignore[arg-type]
        except _Over as over:
            self.ending = over.ending
            self._session = None
            await self._part()
        except BaseException:
            await self._abandon(session)
            raise
        finally:
            self._release()
        return self.ending

    async def _fed(self, session: Generator[Step, Any, Ending]) -> Step:
        """Give the session what comes next: bytes, none at the end, or what broke."""
        data: Any = b""
        broken: Exception | None = None
        if not self._gone:
            self._listening = True
            try:
                data = await self._channel.read(self._limits.read_size)
            except OSError as error:
                broken = error
            self._listening = False
        if self._is_cut_off():
            broken, self._why = self._why, None
        if broken is None:
            return self._resume(session.send, data)
        try:
            return self._resume(session.throw, broken)
        finally:
            broken = None  # whose traceback holds this frame

    def _is_cut_off(self) -> bool:
        return self._gone

    async def _awaited(self, session: Generator[Step, Any, Ending], hook: Awaitable[object]) -> Step:
        """Wait for a hook, and give the session its outcome."""
        try:
            await self._corked(hook)
        except BaseException as error:
            if not self._ws._is_failure(error):
                raise
            return self._resume(session.throw, error)
        return self._resume(session.send, None)

    @coroutine
    def _corked(self, hook: Awaitable[object]) -> Generator[Any, Any, None]:
        """Await a hook; what it sends before it waits goes out at once with what others send."""
        steps: Any = hook.__await__()
        self._in_turn = True
        try:
            step = next(steps)
            self._in_turn = False
            self._start_writing()
            while True:
                try:
                    got = yield step
                except BaseException as error:  # noqa: BLE001 - the hook judges it
                    step = steps.throw(error)
                else:
                    step = steps.send(got)
        except StopIteration:
            return
        finally:
            self._in_turn = False

    def _resume(self, resume: Callable[..., Step], *args: Any) -> Step:
        self._in_turn = True
        try:
            step = resume(*args)
        except StopIteration as stop:
            raise _Over(stop.value) from None  # a coroutine must not raise StopIteration
        finally:
            self._in_turn = False
        if self._ws._state is not self._ticked:
            self._look_at_timers()
        return step

    async def _part(self) -> None:
        """Let the peer read our last frames before the connection is closed."""
        timeout = self._limits.close_timeout
        call_off = self._kit.call_at(self.now() + timeout, self.cut_off) if timeout is not None else None
        await self.flush()
        if call_off is not None:
            call_off()
        if not self._gone:
            call_off = self._kit.call_at(self.now() + LINGER, self.cut_off)
            with suppress(OSError):
                await self._channel.hang_up(self.ending is not None and self.ending.clean)
            call_off()
        self.cut_off()

    async def _abandon(self, session: Generator[Step, Any, Ending]) -> None:
        """End a connection whose task is cancelled: say so if that is possible, call `closed`."""
        ws = self._ws
        try:
            if not self._writing and not self._gone:
                self._in_turn = True
                ws.close(GOING_AWAY)
                self._in_turn = False
                with self._kit.last_words():
                    await self.flush()
        finally:
            self.cut_off()
            pending = ws._finish(ABNORMAL_CLOSURE, "Going away")
            session.close()
            if isawaitable(pending):
                with self._kit.last_words():
                    try:
                        await pending
                    except Exception as error:  # noqa: BLE001 - a hook's, logged by `unhandled_error`
                        ws._report(error)

    def _release(self) -> None:
        """Let go of everything, so that no cycle of references is left."""
        self._session = None
        self._why = None
        for call_off in (self._timer, self._watch):
            if call_off is not None:
                call_off()
        self._timer = self._watch = None
        self.cut_off()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()
        self._is_over = True
        if self._over is not None:
            self._over.set()

    async def wait_ended(self) -> None:
        """Wait until the connection is closed and `closed` has returned."""
        if not self._is_over:
            if self._over is None:
                self._over = self._kit.event()
            await self._over.wait()

    def _look_at_timers(self) -> None:
        """Ping, give up, or come again later."""
        if self._timer is not None:
            self._timer()
            self._timer = None
        if self._session is None:
            return
        self._ticked = self._ws._state
        if not self._listening:
            # Nobody can be blamed for a silence that we did not listen to.
            self._ws._keepalive.active = True
        try:
            when = self._ws._tick(self._kit.now())
        except PeerTimeout as error:
            self._break(error)
        except ConnectionClosed:
            return
        else:
            if when < inf:
                self._timer = self._kit.call_at(when, self._look_at_timers)


class _Over(Exception):
    """Carry a session's ending out of a coroutine."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending


class _Room(Sent):
    """Be awaited until there is room for more that is sent."""

    __slots__ = ("_transport",)

    def __init__(self, transport: PullTransport) -> None:
        self._transport = transport

    def __await__(self) -> Generator[Any, None, None]:
        transport = self._transport
        while not transport._gone and transport._ws._crowded is not None:
            transport._start_writing()
            yield from transport._wait_for_room().__await__()
