"""Serve a function instead of a class: ``def handler(ws)``, ``async def handler(ws)``.

It runs in a thread or task of its own, beside what reads the connection, and receives when it
likes. When it returns the connection is closed with 1000; an error is logged, and closes with 1011.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any, Literal

from ..codes import INTERNAL_ERROR
from ..exc import ConnectionClosed
from ..receiving import AsyncReceiver, BlockingReceiver
from ..states import State
from ..websocket import WebSocket

__all__ = ["Functions", "Handler", "class_of", "is_router", "outlast"]

Handler = type[WebSocket] | Callable[[Any], object]
# How a server runs functions: in threads, in tasks, or not at all.
Functions = Literal["threads", "tasks"] | None

NOT_HERE = (
    "{name} is a function, but this server reads many connections in one thread, where it could not "
    "wait: give a subclass of WebSocket, or serve by threadedserver, asyncioserver, trioserver or tornadoserver"
)
NOT_ASYNC = "{name} is async, but this server runs functions in threads: make it a plain function, or serve by asyncio"
NOT_PLAIN = "{name} is a plain function, but this server runs in an event loop: make it `async def`"


def is_router(function: Callable[..., Any]) -> bool:
    """Tell whether a function chooses what serves a `Request`, rather than serves a WebSocket.

    It does when its parameter is called ``request``, or annotated as a `Request`.
    """
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return True
    first: Parameter | None = parameters[0] if parameters else None
    if first is None or iscoroutinefunction(function):
        return False
    annotation = getattr(first.annotation, "__name__", first.annotation)
    return first.name == "request" or str(annotation).rpartition(".")[2] == "Request"


def class_of(handler: Handler, functions: Functions) -> type[WebSocket]:
    """Return a class as it is, and for a function one that runs it. Raises TypeError if that is not done here."""
    if isinstance(handler, type):
        return handler
    name = getattr(handler, "__name__", repr(handler))
    if functions is None:
        raise TypeError(NOT_HERE.format(name=name))
    if iscoroutinefunction(handler) is not (functions == "tasks"):
        raise TypeError((NOT_PLAIN if functions == "tasks" else NOT_ASYNC).format(name=name))
    base = TaskWebSocket if functions == "tasks" else ThreadWebSocket
    return type(name, (base,), {"_function": staticmethod(handler)})


async def outlast(ws: Any) -> None:
    """Wait until the function of a WebSocket has returned, if it has one."""
    wait = getattr(ws, "_outlast", None)
    if wait is not None:
        await wait()


class _FunctionWebSocket(WebSocket):
    _function: Callable[[Any], Any]

    def _returned_value(self, value: object) -> None:
        if isinstance(value, type):
            raise TypeError(
                f"{type(self).__name__} returned the class {value.__name__}: a function that chooses a class "
                "calls its parameter `request`"
            )
        self.close()

    def _failed(self, error: Exception) -> None:
        """Close with 1011 and log; that this connection is closed is no failure."""
        if not isinstance(error, ConnectionClosed) or self._state is State.OPEN:
            self._report(error)
        self.close(INTERNAL_ERROR)


class ThreadWebSocket(BlockingReceiver, _FunctionWebSocket):
    """Run a function in a thread of its own."""

    _runs_in: threading.Thread | None = None
    _done: Any = None

    def opened(self) -> None:
        """Begin."""
        self._done = self._pull_kit.event()
        self._pull_kit.spawn(self._handle)

    def _handle(self) -> None:
        self._runs_in = threading.current_thread()
        try:
            self._returned_value(self._function(self))
        except Exception as error:  # noqa: BLE001 - the application's, logged
            self._failed(error)
        finally:
            self._done.set()

    def run(self) -> None:
        """Serve the connection to its end, and wait for the function to return."""
        super().run()
        if self._done is not None:
            self._done.wait()


class TaskWebSocket(AsyncReceiver, _FunctionWebSocket):
    """Run an async function in a task of its own."""

    _scope: Any = None
    _done: Any = None

    def opened(self) -> None:
        """Begin."""
        self._done = self._pull_kit.event()
        self._scope = self._pull_kit.scope()
        self._pull_kit.spawn(self._handle)

    async def _handle(self) -> None:
        try:
            with self._scope:
                self._returned_value(await self._function(self))
        except Exception as error:  # noqa: BLE001 - the application's, logged
            self._failed(error)
        finally:
            self._done.set()

    async def _outlast(self) -> None:
        """Wait until the function has returned."""
        if self._done is not None:
            await self._done.wait()

    def _call_off(self) -> None:
        """Cancel the function."""
        if self._scope is not None:
            self._scope.cancel()
