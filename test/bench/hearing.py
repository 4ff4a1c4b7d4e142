"""The server of `test.bench.beside`: members of topics, and a boss who says what to publish to them.

``python -m test.bench.hearing HOST POLICY [--count]``. Who connects with ``stuck`` is the one that never reads.
"""

from __future__ import annotations

import asyncio
import json
import resource
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.manager import EPollPoller
from ws4py_ng.pubsub import Hub
from ws4py_ng.websocket import WebSocket

HOSTS = ("asyncio", "threads")
POLICIES = ("drop_oldest", "conflate", "close")
# So little may wait for who never reads that each round is beyond it.
MAX_PENDING = 64 * 1024

counts: Counter[str] = Counter()
hub = Hub()


class Member(WebSocket):
    """Be in the topics that it has asked for, or be the boss."""

    stuck: Member | None = None
    policy = ""

    def opened(self) -> None:
        query = (self.environ or {}).get("QUERY_STRING", "")
        if query == "stuck":
            Member.stuck = self
            self.send("here")
        for topic in parse_qs(query).get("topic", []):
            hub.subscribe(self, topic)

    def received_message(self, message: Any) -> None:
        order = json.loads(message.data)
        answer = getattr(self, f"do_{order.pop('do')}")(**order)
        self.send(json.dumps(answer))

    def do_publish(self, topic: str, size: int) -> dict[str, Any]:
        """Publish the time, and more."""
        hub.publish(topic, b"%019d" % time.time_ns() + bytes(size - 19))
        return {}

    def do_fill(self) -> dict[str, Any]:
        """Send to who never reads alone, until something waits."""
        stuck = Member.stuck
        assert stuck is not None
        carried = getattr(stuck._transport, "_transport", None)
        sock = stuck.sock if carried is None else carried.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_PENDING)  # else the kernel finds more and more room
        hub.subscribe(stuck, "fill", policy=self.policy, max_pending=MAX_PENDING)
        deadline = time.monotonic() + 10
        while (status := hub.member_status(stuck)) is not None and not status.pending_bytes:
            assert time.monotonic() < deadline, "its peer reads"
            hub.publish("fill", bytes(10_000))
        return {"pending": 0 if status is None else status.pending_bytes}

    def do_in(self) -> dict[str, Any]:
        """Let who never reads be in the topics; what fills it up stays."""
        assert Member.stuck is not None
        for topic in ("probe", "all"):
            hub.subscribe(Member.stuck, topic, policy=self.policy)
        return {}

    def do_out(self) -> dict[str, Any]:
        """Let it leave them."""
        assert Member.stuck is not None
        hub.unsubscribe(Member.stuck)
        return {}

    def do_report(self) -> dict[str, Any]:
        """Say what was used, and what is held for who never reads."""
        stuck, held = Member.stuck, 0
        if stuck is not None:
            status = hub.member_status(stuck)
            held = unsent(stuck) + (0 if status is None else status.pending_bytes)
        cpu = time.process_time_ns() / 1000
        return {"cpu": cpu, "held": held, "dropped": hub.status.dropped, "counts": dict(counts)}


def unsent(ws: Any) -> int:
    """Count the bytes that a transport has taken and the kernel has not."""
    transport = ws._transport
    carried = getattr(transport, "_transport", None)
    size: int = ws._outbox.size + getattr(transport, "_unsent", 0)
    return size + (0 if carried is None else carried.get_write_buffer_size())


def count_calls() -> None:
    """Count what goes to the kernel: of all, and of who never reads."""

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(self: Any, *arguments: Any) -> Any:
            counts[name] += 1
            stuck: Any = Member.stuck
            if stuck is not None and (sock := stuck.sock) is not None:
                with suppress(OSError, AttributeError):
                    counts[f"{name} of it"] += sock.fileno() == self.fileno()
            return call(self, *arguments)

        return counting

    for name in ("send", "sendmsg"):
        setattr(socket.socket, name, counted(name, getattr(socket.socket, name)))
    for kind, name in ((selectors.EpollSelector, "select"), (EPollPoller, "poll")):
        setattr(kind, name, turning(getattr(kind, name)))


def turning(poll: Callable[..., Any]) -> Callable[..., Any]:
    """Count the turns of a loop, by its polls."""

    def counting(*arguments: Any) -> Any:
        counts["turns"] += 1
        return poll(*arguments)

    return counting


def ready(port: int) -> None:
    """Say where we listen."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


async def serve_in_a_loop() -> None:
    """Serve by asyncio."""
    from ws4py_ng.server.asyncioserver import serve

    async with serve(Member, "127.0.0.1", 0, max_connections=100_000) as server:
        ready(server.port)
        await server.serve_forever()


def serve_by_a_manager() -> None:
    """Serve by the thread of a manager, which `wsgiref` hands its sockets to."""
    from wsgiref.simple_server import make_server

    from ws4py_ng.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
    from ws4py_ng.server.wsgiutils import WebSocketWSGIApplication

    class Quiet(WebSocketWSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    app = WebSocketWSGIApplication(handler_cls=Member)
    server = make_server("127.0.0.1", 0, server_class=WSGIServer, handler_class=Quiet, app=app)
    server.initialize_websockets_manager()
    ready(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Member.policy = sys.argv[2]
    if "--count" in sys.argv:
        count_calls()
    with suppress(ConnectionClosed):
        if sys.argv[1] == "asyncio":
            asyncio.run(serve_in_a_loop())
        else:
            serve_by_a_manager()
