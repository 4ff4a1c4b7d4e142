"""A hub on a server of some kind, for peers who say what to publish: ``python -m test.pubsub.site KIND``.

A peer that says ``publish N SIZE`` lets a message with that number be published, by the connection's
own thread; ``thread N SIZE`` by another one; ``steady FIRST COUNT`` a row of short ones, a thousand a
second; ``status`` is answered by what the hub tells of itself, ``present`` by who is there, and who has come
and gone. With a broker's kind and URL behind KIND the hub shares its topics with those of other processes; on
streams each message begins with its offset. With seconds behind the URL it tells others who is there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

from ws4py_ng.limits import Limits
from ws4py_ng.pubsub import Hub
from ws4py_ng.websocket import WebSocket

LIMITS = Limits(ping_interval=None, max_message_size=1 << 24)
KINDS: dict[str, Callable[[], None]] = {}


def make_hub(kind: str = "", url: str = "", presence_interval: str = "") -> Hub:
    """Make the hub of this process."""
    options: dict[str, Any] = {"policy": "close", "max_pending": 1 << 20}
    if presence_interval:
        options |= {
            "presence_interval": float(presence_interval),
            "joined": lambda one: events.append(f"+{one.info}"),
            "left": lambda one: events.append(f"-{one.info}"),
        }
    if kind == "nats":
        from ws4py_ng.pubsub.nats import NatsBus

        return Hub(NatsBus(url), **options)
    if kind == "redis":
        from ws4py_ng.pubsub.redis import RedisBus

        return Hub(RedisBus(url), **options)
    if kind == "streams":
        from ws4py_ng.pubsub.redis import RedisStreamBus

        return Hub(RedisStreamBus(url), stamp=lambda _, data, offset: offset.encode() + b"|" + data, **options)
    return Hub(**options)


def publish_steadily(first: int, count: int) -> None:
    """Publish numbers, a thousand a second."""
    pause = threading.Event()
    for number in range(first, first + count):
        hub.publish("news", b"%d" % number)
        pause.wait(0.001)


events: list[str] = []
hub = make_hub(*sys.argv[2:]) if __name__ == "__main__" else make_hub()


class Member(WebSocket):
    """Do as a peer says."""

    def opened(self) -> None:
        query = (self.environ or {}).get("QUERY_STRING", "")
        asked = parse_qs(query)
        for topic in asked.get("topic", []):
            hub.subscribe(self, topic, info=asked.get("name", [topic])[0], since=asked.get("since", [None])[0])
        self.send("welcome")

    def received_message(self, message: Any) -> None:
        verb, *numbers = str(message).split()
        if verb == "status":
            self.send(json.dumps(asdict(hub.status)))
            return
        if verb == "present":
            self.send(json.dumps([sorted(str(each.info) for each in hub.presence("news")), events]))
            return
        number, size = map(int, numbers)
        if verb == "steady":
            threading.Thread(target=publish_steadily, args=(number, size), daemon=True).start()
            return
        payload = number.to_bytes(4, "big") + bytes(size - 4)
        if verb == "thread":
            threading.Thread(target=hub.publish, args=("news", payload)).start()
        else:
            hub.publish("news", payload)


def kind(function: Callable[[], None]) -> Callable[[], None]:
    """Register a kind of server."""
    KINDS[function.__name__] = function
    return function


def ready(port: int) -> None:
    """Say where we listen."""
    sys.stdout.write(f"listening on {port}\n")
    sys.stdout.flush()


@kind
def threads() -> None:
    from ws4py_ng.server.threadedserver import serve

    with serve(Member, "127.0.0.1", 0, limits=LIMITS) as server:
        ready(server.port)
        server.serve_forever()


@kind
def threads_tls() -> None:
    from test.client.peers import server_context
    from ws4py_ng.server.threadedserver import serve

    with serve(Member, "127.0.0.1", 0, limits=LIMITS, ssl_context=server_context()) as server:
        ready(server.port)
        server.serve_forever()


async def _asyncio(**options: Any) -> None:
    from ws4py_ng.server.asyncioserver import serve

    async with serve(Member, "127.0.0.1", 0, limits=LIMITS, **options) as server:
        ready(server.port)
        await server.serve_forever()


@kind
def aio() -> None:
    asyncio.run(_asyncio())


@kind
def aio_tls() -> None:
    from test.client.peers import server_context

    asyncio.run(_asyncio(ssl_context=server_context()))


@kind
def uvloop() -> None:
    import uvloop as library

    library.run(_asyncio())


@kind
def managed() -> None:
    from wsgiref.simple_server import make_server

    from ws4py_ng.server.wsgirefserver import WebSocketWSGIRequestHandler, WSGIServer
    from ws4py_ng.server.wsgiutils import WebSocketWSGIApplication

    server = make_server(
        "127.0.0.1",
        0,
        server_class=WSGIServer,
        handler_class=WebSocketWSGIRequestHandler,
        app=WebSocketWSGIApplication(handler_cls=Member),
    )
    server.initialize_websockets_manager()
    ready(server.server_port)
    server.serve_forever()


@kind
def trio() -> None:
    import trio as library

    from ws4py_ng.server.trioserver import serve

    async def main() -> None:
        async with serve(Member, "127.0.0.1", 0, limits=LIMITS) as server:
            ready(server.port)
            await server.serve_forever()

    library.run(main)


@kind
def tornado() -> None:
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application

    from ws4py_ng.server.tornadoserver import WebSocketHandler

    async def main() -> None:
        sockets = bind_sockets(0, "127.0.0.1")
        application = Application([("/", WebSocketHandler, {"handler_cls": Member, "limits": LIMITS})])
        server = HTTPServer(application)
        server.add_sockets(sockets)
        ready(sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(main())


@kind
def asgi() -> None:
    import uvicorn

    from ws4py_ng.server.asgi import WebSocketApplication

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            ready(self.servers[0].sockets[0].getsockname()[1])

    config = uvicorn.Config(
        WebSocketApplication({"/": Member}, limits=LIMITS),
        port=0,
        log_level="error",
        lifespan="off",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
    )
    Server(config).run()


@kind
def gevent() -> None:
    from ws4py_ng.server.geventserver import WebSocketWSGIApplication, WSGIServer

    server = WSGIServer(("127.0.0.1", 0), WebSocketWSGIApplication(handler_cls=Member), log=None)
    server.start()
    ready(server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    KINDS[sys.argv[1]]()
