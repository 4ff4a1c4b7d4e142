"""The session of an asyncio connection in a task: from its first async hook to its end.

Hooks run one after the other, in this one task, as timeouts and context variables expect. What
comes meanwhile waits in a backlog, of one read at most. Whoever cancels the task, as the end of a
program does, ends the connection: the peer is told 1001, and `closed` is called and awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from time import monotonic
from types import coroutine
from typing import TYPE_CHECKING, Any

from ..codes import GOING_AWAY
from ..endpoint import SENT, Ending, Step
from ..exc import ConnectionClosed
from .outlet import Outlet

if TYPE_CHECKING:
    from ..endpoint import Endpoint
    from ..limits import Limits

__all__ = ["AsyncHooks"]

# A loop does not hold on to its tasks.
_tasks: set[asyncio.Task[None]] = set()


class AsyncHooks(Outlet):
    """Drive a session that has awaited something."""

    __slots__ = (
        "_backlog",
        "_fed_at",
        "_is_cancelled",
        "_session",
        "_task",
        "_wakeup",
        "_wanted",
    )

    def __init__(self, ws: Endpoint, limits: Limits) -> None:
        super().__init__(ws, limits)
        self._session: Generator[Step, Any, Ending] | None = None
        self._wanted = 0  # bytes without which the session cannot go on
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        self._fed_at: float | None = None
        self._backlog: Sequence[bytes | Exception] = ()  # of a read or two: then reading is held
        self._wakeup: asyncio.Future[None] | None = None

    # What the receiving half does

    def _unhold(self) -> None:
        """Read on."""
        raise NotImplementedError

    def _pace(self, took: float) -> None:
        """Take note of how long a turn took."""
        raise NotImplementedError

    def _finish(self, ending: Ending | None) -> None:
        """Let go of the session, and hang up."""
        raise NotImplementedError

    def cut_off(self) -> None:
        """End the connection as it is; from any thread."""
        raise NotImplementedError

    # The task

    def _start_task(self, step: Step) -> None:
        task = self._task = self._loop.create_task(self._drive(step))
        _tasks.add(task)
        task.add_done_callback(_forget)

    async def _drive(self, step: Step) -> None:
        """Run the session from the first async hook to its end."""
        session = self._session
        assert session is not None
        try:
            while True:
                if isinstance(step, int):
                    self._wanted = step
                    step = await self._fed(session)
                else:
                    step = await self._awaited(session, step)
        except _Over as over:
            ending = over.ending
        except BaseException:  # KeyboardInterrupt, SystemExit: the program ends
            session.close()
            self._finish(None)
            raise
        self._finish(ending)
        if self._is_cancelled:
            self.cut_off()
            raise asyncio.CancelledError

    async def _fed(self, session: Generator[Step, Any, Ending]) -> Step:
        """Give the session what comes next."""
        if self._fed_at is not None:
            self._pace(monotonic() - self._fed_at)
            self._fed_at = None
        if self._ws._outbox.size:
            self._flush()
        if self._ws._state is not self._ticked:
            self._look_at_timers()
        try:
            while self._room is not SENT:
                await self._room
            while not self._backlog:
                self._unhold()
                self._wakeup = self._loop.create_future()
                await self._wakeup
        except asyncio.CancelledError:
            self._say_goodbye()
            return self._resume(session.send, b"")
        data, *self._backlog = self._backlog
        self._fed_at = monotonic()
        return self._resume(session.throw if isinstance(data, Exception) else session.send, data)

    async def _awaited(self, session: Generator[Step, Any, Ending], hook: Awaitable[object]) -> Step:
        """Wait for a hook, and give the session its outcome."""
        try:
            await self._corked(hook)
        except asyncio.CancelledError as error:
            return self._resume(session.throw, self._cancelled(error))
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
            self._flush()
            while True:
                try:
                    got = yield step
                except BaseException as error:  # noqa: BLE001 - the hook's
                    step = steps.throw(error)
                else:
                    step = steps.send(got)
        except StopIteration:
            return
        finally:
            self._in_turn = False

    def _cancelled(self, error: asyncio.CancelledError) -> BaseException:
        """Say what a hook that was cancelled tells the session."""
        if not self.ends_all(error):
            return error
        if self._is_cancelled:
            return ConnectionAbortedError("The task of this connection was cancelled again")
        self._say_goodbye()
        self._ws._lost()
        return ConnectionClosed("The task of this connection was cancelled")

    def _say_goodbye(self) -> None:
        self._is_cancelled = True
        self._ws.close(GOING_AWAY)

    def _resume(self, resume: Callable[..., Step], value: Any) -> Step:
        self._in_turn = True
        try:
            return resume(value)
        except StopIteration as stop:
            # A coroutine must not raise it.
            raise _Over(stop.value) from None
        finally:
            self._in_turn = False

    @property
    def is_here(self) -> bool:
        """Whether the running task is the one in which this connection's hooks run."""
        return self._task is not None and self._task is asyncio.current_task()

    def cancel(self) -> None:
        """Cancel a hook that is awaited, which nothing else can end; `closed` is called as ever."""
        if self._task is not None:
            self._task.cancel()


def _forget(task: asyncio.Task[None]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # of which the loop has told the program; there is no need to say so again


class _Over(Exception):
    """Carry a session's ending out of a coroutine."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending
