"""What `PullTransport` wants of an async library, by asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

from .kits import LAST_WORDS

__all__ = ["AsyncioKit", "ends_all", "open_kit"]


class AsyncioKit:
    """Be the kit of asyncio and uvloop, for one connection in the running loop; made by `open_kit`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """Return the time of the loop."""
        return self._loop.time()

    def call_at(self, when: float, callback: Callable[[], object]) -> Callable[[], object]:
        """Call a function later; return what calls it off."""
        return self._loop.call_at(when, callback).cancel

    @property
    def home(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._loop

    def call_threadsafe(self, callback: Callable[[], object]) -> None:
        """Call a function soon, at the request of another thread."""
        self._loop.call_soon_threadsafe(callback)

    def spawn(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task beside the connection."""
        spawned = self._loop.create_task(task())
        self._tasks.add(spawned)
        spawned.add_done_callback(self._tasks.discard)

    def event(self) -> asyncio.Event:
        """Return a new event."""
        return asyncio.Event()

    def scope(self) -> AsyncioScope:
        """Return a scope to be cancelled from outside."""
        return AsyncioScope()

    async def breathe(self) -> None:
        """Let all others have their turn."""
        await asyncio.sleep(0)

    def ends_all(self, error: BaseException) -> bool:
        """See `ends_all`."""
        return ends_all(self._loop, error)

    def last_words(self) -> AbstractContextManager[object]:
        """Let a task that is cancelled wait inside, for a bounded time."""
        return _bounded(self._loop)

    async def end(self) -> None:
        """End the tasks that are left."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def ends_all(loop: asyncio.AbstractEventLoop, error: BaseException) -> bool:
    """Tell whether what a hook raised ends the program, or the task: not what only the hook itself has cancelled."""
    if not isinstance(error, asyncio.CancelledError):
        return isinstance(error, KeyboardInterrupt | SystemExit)
    task = asyncio.current_task(loop)
    return task is not None and task.cancelling() > 0


@asynccontextmanager
async def open_kit() -> AsyncIterator[AsyncioKit]:
    """Return a kit whose tasks end with the `async with`."""
    kit = AsyncioKit()
    try:
        yield kit
    finally:
        if kit._tasks:
            await kit.end()


class AsyncioScope:
    """Interrupt what a task awaits inside, in the manner of `asyncio.timeout`."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._cancelled = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> bool:
        task, self._task = self._task, None
        assert task is not None
        # Somebody else's cancellation goes on.
        return (
            self._cancelled
            and task.uncancel() <= self._cancelling
            and kind is not None
            and issubclass(kind, asyncio.CancelledError)
        )

    def cancel(self) -> None:
        """Interrupt what is awaited inside; from another task or a callback."""
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()


@contextmanager
def _bounded(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    scope = AsyncioScope()
    timer = loop.call_later(LAST_WORDS, scope.cancel)
    try:
        with scope:
            yield
    finally:
        timer.cancel()
