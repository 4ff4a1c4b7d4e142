"""A span for each connection, told by OpenTelemetry's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ws4py_ng.client import WebSocketBaseClient
from ws4py_ng.testing import pair
from ws4py_ng.tracing import traced
from ws4py_ng.websocket import WebSocket

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Quiet(WebSocketBaseClient):
    """Say nothing by itself."""


class Busy(WebSocket):
    """Do something that has a span of its own."""

    def received_message(self, message: Any) -> None:
        with trace.get_tracer("app").start_as_current_span("work"):
            if str(message) == "fail":
                raise RuntimeError("no")


class Named(traced(Busy)):  # type: ignore[misc]
    """Come with a request."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.environ = {"PATH_INFO": "/chat", "REMOTE_ADDR": "192.0.2.1", "HTTP_TRACEPARENT": PARENT}


@pytest.fixture(scope="module")
def provider() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(made)
    return exporter


@pytest.fixture
def spans(provider: InMemorySpanExporter) -> InMemorySpanExporter:
    provider.clear()
    return provider


def test_a_connection_is_a_span_and_hooks_run_within_it(spans: InMemorySpanExporter) -> None:
    joined = pair(Named, Quiet)
    joined.run_until_idle()
    joined.client.send("hello")
    joined.close(1000)
    work, connection = spans.get_finished_spans()
    assert ("work", "websocket") == (work.name, connection.name)
    assert connection.context.span_id == work.parent.span_id
    assert PARENT.split("-")[2] == f"{connection.parent.span_id:016x}"
    assert PARENT.split("-")[1] == f"{connection.context.trace_id:032x}"
    expected = {"url.path": "/chat", "client.address": "192.0.2.1"}
    expected |= {"websocket.close.code": 1000, "websocket.messages.received": 1}
    assert expected == dict(connection.attributes)
    assert trace.StatusCode.UNSET is connection.status.status_code


def test_a_hook_that_fails_is_an_error_of_the_span(spans: InMemorySpanExporter) -> None:
    joined = pair(Named, Quiet)
    joined.run_until_idle()
    joined.client.send("fail")
    joined.run_until_idle()
    connection = spans.get_finished_spans()[-1]
    assert trace.StatusCode.ERROR is connection.status.status_code
    assert 1011 == connection.attributes["websocket.close.code"]
    assert ["exception"] == [event.name for event in connection.events]


@pytest.mark.parametrize("handler", [lambda ws: None, dict, None])
def test_what_is_no_websocket_is_refused(handler: Any) -> None:
    with pytest.raises(TypeError, match="expected a subclass of WebSocket"):
        traced(handler)
