"""Serve a function instead of a class: ``def handler(ws)``, ``async def handler(ws)``.

It runs in a thread, greenlet or task of its own, beside what reads the connection, and receives when
it likes. When it returns the connection is closed with 1000; an error is logged, and closes with 1011.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from inspect import Parameter, iscoroutine, iscoroutinefunction, signature
from typing import Any, Literal

from ..codes import INTERNAL_ERROR
from ..exc import ConnectionClosed
from ..receiving import AsyncReceiver, BlockingReceiver
from ..states import State
from ..websocket import WebSocket
from .checks import check_handler, takes

__all__ = ["Functions", "Handler", "class_of", "is_async", "is_router", "maker_of", "outlast"]

Handler = type[WebSocket] | Callable[[Any], object]
# How a server runs functions: in threads (or greenlets), in tasks, or not at all.
Functions = Literal["threads", "tasks"] | None

NOT_HERE = (
    "{name} is a function, but what serves here takes classes only: give a subclass of WebSocket, or serve by "
    "threadedserver, asyncioserver or another one of the servers in ws4py_ng.server"
)
NOT_ASYNC = (
    "{name} is async, but this server runs functions in threads or greenlets: make it a plain function, "
    "or serve by asyncio"
)
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
    if first is None or is_async(function):
        return False
    annotation = getattr(first.annotation, "__name__", first.annotation)
    return first.name == "request" or str(annotation).rpartition(".")[2] == "Request"


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether what a function returns is to be awaited; an object may be called like one."""
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


def class_of(handler: Handler, functions: Functions) -> type[WebSocket]:
    """Return a class as it is, and for a function one that runs it. Raises TypeError if that is not done here."""
    check_handler(handler)
    if isinstance(handler, type):
        return handler
    name = getattr(handler, "__name__", repr(handler))
    if functions is None:
        raise TypeError(NOT_HERE.format(name=name))
    if is_async(handler) is not (functions == "tasks"):
        raise TypeError((NOT_PLAIN if functions == "tasks" else NOT_ASYNC).format(name=name))
    base = TaskWebSocket if functions == "tasks" else ThreadWebSocket
    return type(name, (base,), {"_function": staticmethod(handler)})


@lru_cache(maxsize=256)
def maker_of(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same where ws4py takes whatever makes a websocket of a socket and more: a class, or a factory.

    A function is one that serves if it can be called with a WebSocket alone.
    """
    serves = not isinstance(handler, type) and takes(handler, 1) and not takes(handler, 4)
    return class_of(handler, "threads") if serves else handler


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
        if iscoroutine(value):
            value.close()
            raise TypeError(f"{type(self).__name__} returned a coroutine, which nobody awaits here")
        self.close()

    def _failed(self, error: BaseException) -> None:
        """Close with 1011 and log; that this connection is closed is no failure."""
        if not isinstance(error, ConnectionClosed) or self._state is State.OPEN:
            self._report(error)
        self.close(INTERNAL_ERROR)


class ThreadWebSocket(BlockingReceiver, _FunctionWebSocket):
    """Run a function in a thread of its own, or a greenlet where the kit of the transport has these."""

    _runs: Any = None
    _runs_in: object = None
    _done: Any = None

    def opened(self) -> None:
        """Begin."""
        self._done = self._pull_kit.event()
        self._runs = self._pull_kit.spawn(self._handle)

    def _handle(self) -> None:
        self._runs_in = self._pull_kit.ident()
        try:
            self._returned_value(self._function(self))
        except BaseException as error:
            if not self._is_failure(error):  # the end of a greenlet
                self.close(INTERNAL_ERROR)
                raise
            self._failed(error)
        finally:
            self._runs_in = None
            self._done.set()

    def run(self) -> None:
        """Serve the connection to its end, and wait for the function to return."""
        super().run()
        self._outlast()

    @property
    def _is_running(self) -> bool:
        return self._done is not None and not self._done.is_set()

    @property
    def _is_here(self) -> bool:
        """Whether it is the function that asks."""
        return self._runs_in is not None and bool(self._runs_in == self._pull_kit.ident())

    def _outlast(self, timeout: float | None = None) -> None:
        """Wait until the function has returned, if it is another one that asks."""
        if self._is_running and not self._is_here:
            self._done.wait(timeout)

    def _call_off(self) -> None:
        """End the function, where that is possible: a greenlet's is."""
        kill = getattr(self._pull_kit, "kill", None)
        if kill is not None and self._is_running and not self._is_here:
            kill(self._runs)
            self._done.set()  # it may not even have begun


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
        except BaseException as error:
            if not self._is_failure(error):  # this task is cancelled
                raise
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
