"""What `with` and `async with` do at the end of a connection: close it, and wait for that, not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from ..codes import GOING_AWAY, NORMAL_CLOSURE
from ..transports.kits import LAST_WORDS

__all__ = ["AsyncioBlock", "BlockingBlock", "called_off_by"]


def called_off_by(scope: asyncio.Timeout) -> Callable[[], object]:
    """Return what lets the time of an attempt to connect be up, from any thread."""
    loop = asyncio.get_running_loop()

    def be_up() -> None:
        with suppress(RuntimeError):  # it is over
            scope.reschedule(0.0)

    return lambda: loop.call_soon_threadsafe(be_up)


class BlockingBlock:
    """Close when the `with` is left: with 1000, behind an error with 1001."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self: Any, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close, and wait for the server, at most ``limits.close_timeout`` seconds."""
        self.close(NORMAL_CLOSURE if error is None else GOING_AWAY)
        self.run_forever()


class AsyncioBlock:
    """Connect when the `async with` is entered, or this is awaited; close when it is left."""

    async def _connected(self) -> Self:
        raise NotImplementedError

    def _cancel(self) -> None:
        """End the connection, and the hook that it waits for."""
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, Self]:
        return self._connected().__await__()

    async def __aenter__(self) -> Self:
        return await self._connected()

    async def __aexit__(
        self: Any, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close with 1000 and wait for the server, at most ``limits.close_timeout`` seconds.

        After an error or a cancellation: with 1001, and for a moment only.
        """
        timeout = self._limits.close_timeout if error is None else 0.0
        self.close(NORMAL_CLOSURE if error is None else GOING_AWAY)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(None if timeout is None else timeout + LAST_WORDS):
                    await self.wait_ended()
        finally:
            self._cancel()
        await self.wait_ended()
