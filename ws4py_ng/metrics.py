"""Count what connections do, and say it in Prometheus' text format.

Nothing is counted unless a class is `metered`: that is a subclass of it, so that others pay nothing. What
can be looked up (connections, what waits to be sent, the hub's numbers) is looked up when somebody asks.

The format is a dozen lines of text, and what it takes to sum over processes is here anyway, so that no
library is needed for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from .pubsub.process import current_hub
from .websocket import WebSocket

__all__ = ["CONTENT_TYPE", "LATENCIES", "Figures", "Meter", "metered", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of the histogram of Ping latencies."""
# A peer may close with any code from 3000 to 4999: so many different ones are told apart.
MAX_CODES = 64

T = TypeVar("T", bound=type[WebSocket])


@dataclass
class Figures:
    """Hold what one process has counted; plain values, which go through JSON."""

    connections: int = 0
    outbox_bytes: int = 0
    opened: int = 0
    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    closes: dict[str, int] = field(default_factory=dict)
    latencies: list[int] = field(default_factory=lambda: [0] * (len(LATENCIES) + 1))
    latency_sum: float = 0.0
    hub_members: int = 0
    hub_pending_bytes: int = 0
    hub_dropped: dict[str, int] = field(default_factory=dict)
    bus_connected: int = 1
    bus_queued: int = 0
    bus_refused: int = 0
    bus_lost: int = 0
    starts: int = 0

    def __add__(self, other: Figures) -> Figures:
        """Sum two processes; a bus is connected if both are."""
        mine, theirs = asdict(self), asdict(other)
        total = {name: _sum(value, theirs[name]) for name, value in mine.items()}
        total["bus_connected"] = min(self.bus_connected, other.bus_connected)
        return Figures(**total)

    def counters(self) -> Figures:
        """Keep what only grows, of a process that has ended."""
        gauges = {"connections", "outbox_bytes", "hub_members", "hub_pending_bytes", "bus_queued", "bus_connected"}
        return Figures(**{name: value for name, value in asdict(self).items() if name not in gauges})


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        return {name: one.get(name, 0) + other.get(name, 0) for name in one | other}
    if isinstance(one, list):
        return [mine + theirs for mine, theirs in zip(one, other, strict=True)]
    return one + other


class Meter:
    """Count for all connections of one event loop; see `metered`."""

    def __init__(self) -> None:
        self.opened = self.messages_in = self.messages_out = self.bytes_in = self.bytes_out = 0
        self.closes: Counter[str] = Counter()
        self.latencies = [0] * (len(LATENCIES) + 1)
        self.latency_sum = 0.0

    def closed(self, code: int) -> None:
        """Count a close code."""
        name = str(code)
        self.closes[name if name in self.closes or len(self.closes) < MAX_CODES else "other"] += 1

    def ponged(self, latency: float) -> None:
        """Count the answer to a Ping."""
        self.latency_sum += latency
        self.latencies[next((index for index, bound in enumerate(LATENCIES) if latency <= bound), -1)] += 1

    def figures(self, connections: Iterable[WebSocket]) -> Figures:
        """Say what was counted, and what there is now."""
        open_now = list(connections)
        figures = Figures(
            connections=len(open_now),
            outbox_bytes=sum(map(_unsent, open_now)),
            opened=self.opened,
            messages_in=self.messages_in,
            messages_out=self.messages_out,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            closes=dict(self.closes),
            latencies=list(self.latencies),
            latency_sum=self.latency_sum,
            starts=1,
        )
        hub = current_hub()
        if hub is not None:
            status = hub.status
            figures.messages_out += status.handed_out
            figures.bytes_out += status.handed_out_bytes
            figures.hub_members, figures.hub_pending_bytes = status.members, status.pending_bytes
            figures.hub_dropped = dict(status.dropped)
            figures.bus_connected, figures.bus_queued = int(status.bus.connected), status.bus.queued
            figures.bus_refused, figures.bus_lost = status.bus.refused, status.bus.lost
        return figures


def _unsent(ws: WebSocket) -> int:
    carried: Any = getattr(ws._transport, "_transport", None)
    return ws._outbox.size + (0 if carried is None else carried.get_write_buffer_size())


def metered(handler: T, meter: Meter) -> T:
    """Return a subclass that counts: messages and the bytes of their payloads, closings, answers to Pings.

    What `process_hub` publishes is counted by the hub.
    """
    base: Any = handler

    def opened(self: Any) -> Any:
        meter.opened += 1
        return base.opened(self)

    def received_message(self: Any, message: Any) -> Any:
        meter.messages_in += 1
        meter.bytes_in += len(message.data)
        return base.received_message(self, message)

    def closed(self: Any, code: int, reason: Any = None) -> Any:
        meter.closed(code)
        return base.closed(self, code, reason)

    def _send_frame(self: Any, opcode: int, data: Any, fin: bool = True) -> Any:
        before = self._outbox.frames
        sent = base._send_frame(self, opcode, data, fin)
        if self._outbox.frames != before:  # else it waits, and comes here again
            meter.messages_out += opcode != 0
            meter.bytes_out += len(data)
        return sent

    def _is_answer(self: Any, pong: Any) -> bool:
        answers: bool = base._is_answer(self, pong)
        if answers:
            meter.ponged(self._keepalive.latency)
        return answers

    hooks = (opened, received_message, closed, _send_frame, _is_answer)
    about = {name: getattr(handler, name) for name in ("__module__", "__qualname__", "__doc__")}
    made: Any = type(handler.__name__, (handler,), {**about, **{hook.__name__: hook for hook in hooks}})
    counting: T = made
    return counting


# The text


_FAMILIES = (
    ("connections", "gauge", "WebSockets that are open.", "connections"),
    ("connections_opened_total", "counter", "WebSockets that were opened.", "opened"),
    ("outbox_bytes", "gauge", "Bytes that wait to be sent.", "outbox_bytes"),
    ("hub_members", "gauge", "Connections that are in a topic.", "hub_members"),
    ("hub_pending_bytes", "gauge", "Bytes that wait for members who are behind.", "hub_pending_bytes"),
    ("bus_connected", "gauge", "Whether the bus is there.", "bus_connected"),
    ("bus_queued", "gauge", "Publishes that wait for the bus.", "bus_queued"),
    ("bus_refused_total", "counter", "Publishes that the bus has not taken.", "bus_refused"),
    ("bus_lost_total", "counter", "Publishes of other processes that did not come.", "bus_lost"),
    ("worker_starts_total", "counter", "How often the worker was started.", "starts"),
)
_BY_DIRECTION = (
    ("messages_total", "Messages; out is what was handed to a connection.", "messages"),
    ("bytes_total", "Bytes of the payloads of messages.", "bytes"),
)
_BY_LABEL = (
    ("closes_total", "Connections that have ended, by close code (RFC 6455 7.4).", "closes", "code"),
    ("hub_dropped_total", "Messages that a member has not got; close counts members.", "hub_dropped", "policy"),
)


def render(workers: Mapping[str, Figures]) -> str:
    """Make the text of what each worker has counted, labelled by ``worker``."""
    return "".join(_lines(workers))


def _lines(workers: Mapping[str, Figures]) -> Iterator[str]:
    for name, kind, text, attribute in _FAMILIES:
        yield _head(name, kind, text)
        for worker, figures in workers.items():
            yield f'ws4py_ng_{name}{{worker="{worker}"}} {getattr(figures, attribute)}\n'
    for name, text, attribute in _BY_DIRECTION:
        yield _head(name, "counter", text)
        for worker, figures in workers.items():
            for direction in ("in", "out"):
                labels = f'worker="{worker}",direction="{direction}"'
                yield f"ws4py_ng_{name}{{{labels}}} {getattr(figures, f'{attribute}_{direction}')}\n"
    for name, text, attribute, label in _BY_LABEL:
        yield _head(name, "counter", text)
        for worker, figures in workers.items():
            for key, value in sorted(getattr(figures, attribute).items()):
                yield f'ws4py_ng_{name}{{worker="{worker}",{label}="{key}"}} {value}\n'
    yield _head("ping_latency_seconds", "histogram", "Time from a Ping to its Pong.")
    for worker, figures in workers.items():
        total = 0
        for bound, count in zip((*map(str, LATENCIES), "+Inf"), figures.latencies, strict=True):
            total += count
            yield f'ws4py_ng_ping_latency_seconds_bucket{{worker="{worker}",le="{bound}"}} {total}\n'
        yield f'ws4py_ng_ping_latency_seconds_sum{{worker="{worker}"}} {figures.latency_sum}\n'
        yield f'ws4py_ng_ping_latency_seconds_count{{worker="{worker}"}} {total}\n'


def _head(name: str, kind: str, text: str) -> str:
    return f"# HELP ws4py_ng_{name} {text}\n# TYPE ws4py_ng_{name} {kind}\n"
