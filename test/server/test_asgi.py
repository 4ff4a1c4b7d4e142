"""`WebSocketApplication` called as a host calls it, without a host; real ones are in test_asgi_hosts.py."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ws4py_ng.limits import Limits
from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.websocket import EchoWebSocket, WebSocket

Event = dict[str, Any]


class Host:
    """Be a host: give events, take events."""

    def __init__(self, app: Any, **scope: Any) -> None:
        self.scope: Event = {
            "type": "websocket",
            "path": "/chat",
            "raw_path": b"/chat",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"here"), (b"cookie", b"a=1"), (b"cookie", b"b=2")],
            "client": ["192.0.2.1", 1234],
            "server": ("here", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            **scope,
        }
        self._app = app
        self.given: asyncio.Queue[Event] = asyncio.Queue()
        self.taken: asyncio.Queue[Event] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()
        if self.scope["type"] == "websocket":
            self.give("connect")
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        await self._app(self.scope, self.given.get, self._send)

    async def _send(self, event: Event) -> None:
        await self.open.wait()
        self.taken.put_nowait(event)

    def give(self, kind: str, **content: Any) -> None:
        self.given.put_nowait({"type": f"{self.scope['type']}.{kind}", **content})

    async def take(self) -> Event:
        async with asyncio.timeout(30):
            return await self.taken.get()

    async def accepted(self) -> Host:
        event = await self.take()
        assert "websocket.accept" == event["type"], event
        return self

    async def end(self) -> None:
        async with asyncio.timeout(30):
            await self.task
        assert self.taken.empty(), self.taken


def run(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test be a coroutine."""

    def wrapped() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    wrapped.__name__ = test.__name__
    return wrapped


class Recorder(EchoWebSocket):
    """Note what is seen."""

    seen: list[Any]

    def opened(self) -> None:
        self.seen = [self.environ, self.peer_address, self.local_address, self.protocols]
        everyone.append(self)

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        self.seen.append((code, reason))

    def unhandled_error(self, error: Exception) -> None:
        self.seen.append(error)


everyone: list[Recorder] = []


@run
async def test_a_conversation() -> None:
    host = Host(WebSocketApplication(Recorder, protocols=["chat"], headers=[("X-Us", "1")]), subprotocols=["chat"])
    expected = {"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-us", b"1")]}
    assert expected == await host.take()
    host.give("receive", text="hello")
    assert {"type": "websocket.send", "text": "hello"} == await host.take()
    host.give("receive", bytes=b"\xff")
    assert {"type": "websocket.send", "bytes": b"\xff"} == await host.take()
    host.give("disconnect", code=4000, reason="bye")
    await host.end()
    environ, peer, local, protocols, ending = everyone.pop().seen
    assert ("/chat", "a=1; b=2", "192.0.2.1") == tuple(
        environ[name] for name in ("PATH_INFO", "HTTP_COOKIE", "REMOTE_ADDR")
    )
    assert host.scope is environ["asgi.scope"]
    assert (("192.0.2.1", 1234), ("here", 80), ["chat"], (4000, b"bye")) == (peer, local, protocols, ending)


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"path": "/nowhere"}, 404),
        ({"headers": [(b"host", b"here"), (b"origin", b"http://there")]}, 403),
        ({"headers": [(b"host", b"here"), (b"origin", b"a"), (b"origin", b"b")]}, 400),
        ({"headers": [(b"bad name", b"x")]}, 400),
        ({"query_string": b"\xff"}, 400),
    ],
)
def test_refusals(scope: Event, status: int) -> None:
    async def main() -> None:
        app = WebSocketApplication({"/chat": Recorder})
        host = Host(app, **scope)
        first, body = await host.take(), await host.take()
        assert ("websocket.http.response.start", status) == (first["type"], first["status"])
        assert (b"content-length", str(len(body["body"])).encode()) in first["headers"]
        assert b"connection" not in dict(first["headers"])
        await host.end()
        host = Host(app, **scope, extensions={})
        assert {"type": "websocket.close"} == await host.take()
        await host.end()

    asyncio.run(main())


def choose(request: Any) -> type[WebSocket]:
    """Be a router that fails."""
    raise ValueError("nobody's business")


class Forgetful(WebSocket):
    """Leave the making of a WebSocket out."""

    def __init__(self, *arguments: Any) -> None: ...


@pytest.mark.parametrize(("handler", "error"), [(choose, ValueError), (Forgetful, AttributeError)])
@pytest.mark.parametrize("extensions", [{"websocket.http.response": {}}, {}])
def test_what_the_application_raises_is_the_hosts_to_log_and_no_400(
    handler: Any, error: type[Exception], extensions: Event
) -> None:
    async def main() -> None:
        host = Host(WebSocketApplication(handler), extensions=extensions)
        with pytest.raises(error):
            await host.end()
        assert host.taken.empty()

    asyncio.run(main())


@run
async def test_no_more_than_max_connections_get_in() -> None:
    app = WebSocketApplication(Recorder, max_connections=1)
    one = await Host(app).accepted()
    other = Host(app)
    assert 503 == (await other.take())["status"]
    assert "websocket.http.response.body" == (await other.take())["type"]
    await other.end()
    one.give("disconnect", code=1000)
    await one.end()
    third = await Host(app).accepted()
    third.give("disconnect", code=1000)
    await third.end()
    everyone.clear()


@run
async def test_websockets_that_are_equal_are_counted_and_drained_each() -> None:
    class Same(Recorder):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Same)

    app = WebSocketApplication(Same, max_connections=2)
    two = [await Host(app).accepted() for _ in range(2)]
    third = Host(app)
    assert 503 == (await third.take())["status"]
    assert "websocket.http.response.body" == (await third.take())["type"]
    await third.end()
    await app.drain()
    for host in two:
        assert 1001 == (await host.take())["code"]
        host.give("disconnect", code=1001)
        await host.end()
    everyone.clear()


@run
async def test_who_is_being_accepted_counts() -> None:
    app = WebSocketApplication(Recorder, max_connections=1)
    one = Host(app)
    one.open.clear()
    other = Host(app)
    assert 503 == (await other.take())["status"]
    assert "websocket.http.response.body" == (await other.take())["type"]
    await other.end()
    one.open.set()
    await one.accepted()
    one.give("disconnect", code=1000)
    await one.end()
    everyone.clear()


@run
async def test_nobody_gets_in_behind_drain_until_the_lifespan_begins_anew() -> None:
    app = WebSocketApplication(Recorder)
    arriving = Host(app)
    arriving.open.clear()
    while not app.connections:
        await asyncio.sleep(0)
    await app.drain()
    late = Host(app)
    assert 503 == (await late.take())["status"]
    assert b"Server is shutting down" in (await late.take())["body"]
    await late.end()
    arriving.open.set()
    await arriving.accepted()
    assert 1001 == (await arriving.take())["code"]
    arriving.give("disconnect", code=1001)
    await arriving.end()
    life = Host(app, type="lifespan")
    life.give("startup")
    assert "lifespan.startup.complete" == (await life.take())["type"]
    again = await Host(app).accepted()
    again.give("disconnect", code=1000)
    await again.end()
    life.give("shutdown")
    assert "lifespan.shutdown.complete" == (await life.take())["type"]
    await life.end()
    everyone.clear()


@pytest.mark.parametrize(
    ("path", "root"), [("/room/chat", "/room"), ("/chat", "/room"), ("/chat", ""), ("/room/chat", "/room/")]
)
def test_paths_are_below_the_mount(path: str, root: str) -> None:
    async def main() -> None:
        host = await Host(WebSocketApplication({"/chat": Recorder}), path=path, root_path=root).accepted()
        host.give("disconnect", code=1000)
        await host.end()
        assert root == everyone.pop().seen[0]["SCRIPT_NAME"]

    asyncio.run(main())


# row: (path as it was sent, as the host decodes it, root_path, key that is found)
SENT: dict[str, tuple[bytes | None, str, str, str]] = {
    "as it was sent": (b"/a%2Fb", "/a/b", "", "/a%2Fb"),
    "decoded": (b"/ch%C3%A4t", "/chät", "", "/chät"),
    "below a mount": (b"/r%C3%B6om/a%2Fb", "/röom/a/b", "/röom", "/a%2Fb"),
    "below a mount that the path does not show": (b"/room/a%2Fb", "/a/b", "/room", "/a%2Fb"),
    "changed on its way": (b"/a%2Fb", "/chät", "", "/chät"),
    "not told": (None, "/chät", "", "/chät"),
}


@pytest.mark.parametrize("row", SENT)
def test_a_key_is_found_by_the_path(row: str) -> None:
    sent, path, root, key = SENT[row]
    others = {other: EchoWebSocket for *_, other in SENT.values()}

    async def main() -> None:
        app = WebSocketApplication({**others, key: Recorder})
        host = await Host(app, path=path, raw_path=sent, root_path=root).accepted()
        host.give("disconnect", code=1000)
        await host.end()
        everyone.pop()

    asyncio.run(main())


@run
async def test_a_host_that_does_not_take_what_is_sent_holds_up_the_hook() -> None:
    class Flood(WebSocket):
        async def received_message(self, message: Any) -> None:
            for number in range(10):
                await self.send(bytes(1000), binary=True)
                progress.append(number)

    progress: list[int] = []
    host = await Host(WebSocketApplication(Flood, limits=Limits(max_outbox=3000))).accepted()
    host.open.clear()
    host.give("receive", text="go")
    while not progress:
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert [0, 1] == progress
    host.open.set()
    for _ in range(10):
        assert "websocket.send" == (await host.take())["type"]
    host.give("disconnect", code=1000)
    await host.end()


@run
async def test_a_hook_that_never_waits_is_stopped_by_max_unsent() -> None:
    class Rash(Recorder):
        def received_message(self, message: Any) -> None:  # type: ignore[override]
            while True:
                self.send(bytes(1000), binary=True)

    host = await Host(WebSocketApplication(Rash, limits=Limits(max_outbox=3000, max_unsent=10_000))).accepted()
    host.give("receive", text="go")
    kinds = []
    while kinds[-1:] != ["websocket.close"]:
        kinds.append((await host.take())["type"])
    assert 12 > len(kinds)
    await host.end()
    error = everyone.pop().seen[4]
    assert isinstance(error, BufferError)
    assert "Limits.max_unsent" in str(error)


@run
async def test_a_host_that_says_nothing_behind_our_close_is_left_after_close_timeout() -> None:
    class Closer(Recorder):
        def received_message(self, message: Any) -> None:  # type: ignore[override]
            self.close(4000)

    host = await Host(WebSocketApplication(Closer, limits=Limits(close_timeout=0.05))).accepted()
    host.give("receive", text="x")
    assert 4000 == (await host.take())["code"]
    await host.end()
    assert 1006 == everyone.pop().seen[-1][0]


@run
async def test_a_host_that_will_not_close_gets_its_own_error() -> None:
    """daphne knows few close codes; for an error of the application it closes with 1011."""

    class Failing(Recorder):
        def received_message(self, message: Any) -> None:  # type: ignore[override]
            raise LookupError("on purpose")

    async def app(scope: Event, receive: Any, send: Any) -> None:
        async def choosy(event: Event) -> None:
            if event.get("code") == 1011:
                raise ValueError("invalid close code")
            await send(event)

        await WebSocketApplication(Failing)(scope, receive, choosy)

    host = await Host(app).accepted()
    host.give("receive", text="x")
    with pytest.raises(ValueError, match="invalid close code"):
        await host.end()
    everyone.clear()


@run
async def test_a_cancelled_application_says_1001() -> None:
    host = await Host(WebSocketApplication(Recorder)).accepted()
    host.give("receive", text="x")
    await host.take()
    host.task.cancel()
    assert {"type": "websocket.close", "code": 1001, "reason": ""} == await host.take()
    with pytest.raises(asyncio.CancelledError):
        await host.task
    assert 1006 == everyone.pop().seen[-1][0]


@run
async def test_the_end_of_the_lifespan_closes_with_1001() -> None:
    app = WebSocketApplication(Recorder)
    life = Host(app, type="lifespan")
    life.give("startup")
    assert "lifespan.startup.complete" == (await life.take())["type"]
    host = await Host(app).accepted()
    while not everyone:
        await asyncio.sleep(0)
    assert {everyone[0]} == app.connections
    life.give("shutdown")
    assert "lifespan.shutdown.complete" == (await life.take())["type"]
    assert 1001 == (await host.take())["code"]
    host.give("disconnect", code=1001)
    await life.end()
    await host.end()
    assert (1001, b"") == everyone.pop().seen[-1]


@run
async def test_plain_http_is_426_or_the_other_applications() -> None:
    host = Host(WebSocketApplication(Recorder), type="http")
    answer = await host.take()
    assert (426, b"websocket") == (answer["status"], dict(answer["headers"])[b"upgrade"])
    assert b"ws://" in (await host.take())["body"]
    await host.end()
    seen = []

    async def other(scope: Event, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    for kind in ("http", "lifespan", "novelty"):
        await Host(WebSocketApplication(Recorder, other), type=kind).end()
    assert ["http", "lifespan", "novelty"] == seen
    with pytest.raises(ValueError, match="'novelty', expected"):
        await Host(WebSocketApplication(Recorder), type="novelty").end()


@run
async def test_a_peer_that_left_before_the_accept_is_nobody() -> None:
    host = Host(WebSocketApplication(Recorder), type="websocket")
    host.given.get_nowait()
    host.give("disconnect", code=1006)
    await host.end()
