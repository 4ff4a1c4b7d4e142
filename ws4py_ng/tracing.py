"""A span for each connection, by OpenTelemetry: the only module that knows opentelemetry-api, the extra `tracing`.

    from ws4py_ng.tracing import traced

    serve(traced(Chat), "127.0.0.1", 9000)

or `ws4py-ng serve --tracing`. Where spans go the program decides, by the SDK; without one they cost next to
nothing and go nowhere. A span begins when the connection is open, as a child of the span that the request
names (``traceparent``), and ends with it. While a hook runs it is the current one, so that what the hook
does is within it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any, TypeVar

from opentelemetry import propagate, trace

from ._version import __version__
from .codes import ABNORMAL_CLOSURE, INTERNAL_ERROR
from .websocket import WebSocket

__all__ = ["traced"]

T = TypeVar("T", bound=type[WebSocket])

NAME = "websocket"
_FAULTS = {ABNORMAL_CLOSURE, INTERNAL_ERROR}
_HEADERS = {"traceparent": "HTTP_TRACEPARENT", "tracestate": "HTTP_TRACESTATE", "baggage": "HTTP_BAGGAGE"}


def traced(handler: T) -> T:
    """Return a subclass whose connections have a span each.

    Attributes: ``url.path``, ``client.address``, ``websocket.subprotocol``, and at the end ``websocket.close.code``
    and ``websocket.messages.received``. 1006 and 1011 are errors.
    """
    if not (isinstance(handler, type) and issubclass(handler, WebSocket)):
        raise TypeError(f"traced() of {handler!r}, expected a subclass of WebSocket")
    base: Any = handler
    tracer = trace.get_tracer("ws4py_ng", __version__)

    def opened(self: Any) -> Any:
        environ: dict[str, Any] = self.environ or {}
        carrier = {name: str(environ[key]) for name, key in _HEADERS.items() if key in environ}
        attributes = {"url.path": str(environ.get("PATH_INFO", "/"))}
        if environ.get("REMOTE_ADDR"):
            attributes["client.address"] = str(environ["REMOTE_ADDR"])
        if self.protocols:
            attributes["websocket.subprotocol"] = str(self.protocols[0])
        self._span = tracer.start_span(
            NAME, propagate.extract(carrier), kind=trace.SpanKind.SERVER, attributes=attributes
        )
        self._span_messages = 0
        return _within(self._span, base.opened, self)

    def received_message(self: Any, message: Any) -> Any:
        self._span_messages += 1
        return _within(self._span, base.received_message, self, message)

    def ponged(self: Any, pong: Any) -> Any:
        return _within(self._span, base.ponged, self, pong)

    def unhandled_error(self: Any, error: Exception) -> None:
        span = getattr(self, "_span", trace.INVALID_SPAN)
        span.record_exception(error)
        base.unhandled_error(self, error)

    def closed(self: Any, code: int, reason: Any = None) -> Any:
        span = getattr(self, "_span", None)
        if span is None:  # it was never open
            return base.closed(self, code, reason)
        span.set_attribute("websocket.close.code", code)
        span.set_attribute("websocket.messages.received", self._span_messages)
        if code in _FAULTS:
            span.set_status(trace.Status(trace.StatusCode.ERROR, f"closed with {code}"))
        try:
            pending = _within(span, base.closed, self, code, reason)
        except BaseException:
            span.end()
            raise
        if isawaitable(pending):
            return _then_end(span, pending)
        span.end()
        return pending

    hooks = (opened, received_message, ponged, unhandled_error, closed)
    about = {name: getattr(handler, name) for name in ("__module__", "__qualname__", "__doc__")}
    made: Any = type(handler.__name__, (handler,), {**about, **{hook.__name__: hook for hook in hooks}})
    tracing: T = made
    return tracing


def _within(span: trace.Span, hook: Any, *args: Any) -> Any:
    """Call a hook within a span, and let it be awaited there."""
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        pending = hook(*args)
    return _awaited(span, pending) if isawaitable(pending) else pending


async def _awaited(span: trace.Span, pending: Awaitable[Any]) -> Any:
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        return await pending


async def _then_end(span: trace.Span, pending: Awaitable[Any]) -> None:
    try:
        await pending
    finally:
        span.end()
