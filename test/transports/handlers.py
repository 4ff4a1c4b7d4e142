"""The WebSockets of the contract, importable wherever a server or client of it runs.

What they do is in classes of hooks without a base, so that they serve servers and every kind of
client; ``async def`` twins are at the end. What they see they `note`.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.websocket import WebSocket

from .diary import note
from .scripts import SCRIPTS, follow, follow_async

__all__ = ["HOOKS", "ROUTES", "client_class", "note_failure", "routes", "tag_of"]

KIB, MIB = 1024, 1024 * 1024
# Where a function that sleeps has to let others run.
GREENLETS = ("gevent_kit", "eventlet_kit")
FLOOD_PIECE = 64 * KIB
FLOOD_SIZE = 64 * MIB


class Hooks:
    """Note what every WebSocket of the contract notes: `opened`, `ponged`, `closed`, what is sent too late."""

    _query: dict[str, str] | None = None

    @property
    def query(self: Any) -> dict[str, str]:
        """The query of the URL."""
        if self._query is None:
            query = self.environ["QUERY_STRING"] if self.environ else urlsplit(self.url).query
            self._query = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        return self._query

    @property
    def tag(self) -> str:
        """The tag that the test put into the URL."""
        return str(self.query.get("tag", ""))

    def note(self, hook: str, **facts: Any) -> None:
        """Note something of this connection."""
        note(self.tag, hook, **facts)

    def opened(self) -> Any:
        """Note it."""
        self.note(
            "opened",
            protocols=[str(each, "ascii") if isinstance(each, bytes) else each for each in self.protocols or ()],
        )

    def ponged(self, pong: Any) -> Any:
        """Note it."""
        self.note("ponged", data=pong.data.decode("latin-1"))

    def closed(self, code: int, reason: Any = None) -> Any:
        """Note it."""
        text = reason.decode("utf-8") if isinstance(reason, bytes) else reason
        self.note("closed", code=code, reason=text)

    def received_message(self, message: Any) -> Any:
        """Note it."""
        self.note_message(message)

    def note_message(self, message: Any) -> None:
        """Note a message: its kind, its size, a check sum, and its data if that is short."""
        data = message.data
        short = data.decode("latin-1") if len(data) <= 200 else None
        self.note("message", text=message.is_text, size=len(data), crc=zlib.crc32(data), data=short)


class Echo(Hooks):
    """Send back every message as it came."""

    def received_message(self, message: Any) -> Any:
        return self.send(message.data, message.is_binary)


class Names(Echo):
    """Have attributes that programs like to have, and echo."""

    session = tick = state = limits = transport = outbox = loop = clock = name = reader = writer = None


class Listen(Hooks):
    """Note every message; a client of this class is a spy."""


class Greet(Hooks):
    """Send a message in `opened`, and echo then."""

    def opened(self) -> Any:
        super().opened()
        return self.send("welcome")

    received_message = Echo.received_message


class Fragments(Hooks):
    """Answer each message by its words, a fragment for each; binary if it was."""

    def received_message(self, message: Any) -> Any:
        words = message.data.split(b" ")
        return self.send(iter(words) if message.is_binary else (word.decode() for word in words), message.is_binary)


class Closer(Hooks):
    """Close as the query says, in `opened` or at the first message: ``when``, ``code``, ``reason``."""

    def opened(self) -> Any:
        super().opened()
        if self.query.get("when") == "opened":
            self.leave()

    def received_message(self, message: Any) -> Any:
        self.note_message(message)
        self.leave()

    def leave(self: Any) -> None:
        """Close, and try to send then."""
        self.close(int(self.query.get("code", "1000")), self.query.get("reason", ""))
        try:
            self.send("too late")
        except ConnectionClosed:
            self.note("refused")


class Counter(Hooks):
    """Count messages, and note those that are longer than a byte."""

    count = 0

    def received_message(self, message: Any) -> Any:
        self.count += 1
        if len(message.data) > 1:
            self.note("counted", count=self.count)


class Environ(Hooks):
    """Answer each message, the name of a key, by what ``environ`` has there."""

    def received_message(self: Any, message: Any) -> Any:
        return self.send(str(self.environ.get(str(message), "(none)")))


class Failing(Hooks):
    """Raise in the hook that the query names."""

    def fail(self, hook: str) -> None:
        """Raise if it is this hook's turn, ``odd`` for what is no Exception; the tag tells whose error is logged."""
        if self.query.get("hook") == hook:
            error = asyncio.CancelledError if "odd" in self.query else LookupError
            raise error(f"{hook} fails for tag={self.tag}")

    def opened(self) -> Any:
        super().opened()
        self.fail("opened")

    def received_message(self, message: Any) -> Any:
        self.fail("received_message")

    def ponged(self, pong: Any) -> Any:
        self.fail("ponged")

    def closed(self, code: int, reason: Any = None) -> Any:
        super().closed(code, reason)
        self.fail("closed")


class Flood(Hooks):
    """At the first message send 64 MiB, in 64 KiB pieces, blocking; note each MiB."""

    def received_message(self: Any, message: Any) -> Any:
        for piece in flood():
            self.send(piece, binary=True)
            self.note_progress(piece)

    def note_progress(self, piece: bytes) -> None:
        """Note that the last piece of a MiB has left our hands."""
        number = int.from_bytes(piece[:4], "big") + 1
        if number % (MIB // FLOOD_PIECE) == 0:
            self.note("flooded", mib=number * FLOOD_PIECE // MIB)


class RashFlood(Flood):
    """Flood without ever waiting for the peer, where `send` does not block."""

    def received_message(self: Any, message: Any) -> Any:
        super().received_message(message)


def flood() -> Iterator[bytes]:
    """Make the messages of a flood, each with its number."""
    for number in range(FLOOD_SIZE // FLOOD_PIECE):
        yield number.to_bytes(4, "big") * (FLOOD_PIECE // 4)


_stages: dict[str, Any] = {}


class Stage(Hooks):
    """Be found by a `Teller`, under the tag."""

    def opened(self) -> Any:
        _stages[self.tag] = self
        super().opened()

    def closed(self, code: int, reason: Any = None) -> Any:
        _stages.pop(self.tag, None)
        super().closed(code, reason)


class Teller(Hooks):
    """Pass every message on to the `Stage` that the query names: many send on one connection."""

    def received_message(self, message: Any) -> Any:
        return _stages[self.query["stage"]].send(message.data, message.is_binary)


class FromThread(Hooks):
    """At the first message let a thread of its own send a hundred."""

    def received_message(self: Any, message: Any) -> Any:
        threading.Thread(target=self.tell, name="teller", daemon=True).start()

    def tell(self: Any) -> None:
        """Send, and note what is raised."""
        try:
            for number in range(100):
                self.send(f"{number}")
        except Exception as error:  # noqa: BLE001 - it is what the test asks for
            self.note("raised", error=type(error).__name__, text=str(error))
        self.note("told")


# The same with async hooks


class AsyncEcho(Hooks):
    """Echo, with hooks that are all ``async def``."""

    async def opened(self) -> None:
        super().opened()

    async def received_message(self: Any, message: Any) -> None:
        await self.send(message.data, message.is_binary)

    async def ponged(self, pong: Any) -> None:
        super().ponged(pong)

    async def closed(self, code: int, reason: Any = None) -> None:
        super().closed(code, reason)


class AsyncFailing(Failing):
    """Raise in the hook that the query names, which is ``async def``."""

    async def opened(self) -> None:
        super().opened()

    async def received_message(self, message: Any) -> None:
        super().received_message(message)

    async def ponged(self, pong: Any) -> None:
        super().ponged(pong)

    async def closed(self, code: int, reason: Any = None) -> None:
        super().closed(code, reason)


class AsyncFlood(Flood):
    """Flood, and wait for the peer after each message."""

    async def received_message(self: Any, message: Any) -> None:
        for piece in flood():
            await self.send(piece, binary=True)
            self.note_progress(piece)


class AsyncFragments(Hooks):
    """Answer each message by its words, from an async iterator; meanwhile somebody else sends."""

    async def received_message(self: Any, message: Any) -> None:
        words = message.data.split(b" ")

        async def pieces() -> AsyncIterator[bytes]:
            for word in words:
                await self.ping("between")
                yield word

        sent = self.send(pieces(), message.is_binary)
        other = self.send("behind")
        await sent
        await other


HOOKS: dict[str, type[Hooks]] = {
    "echo": Echo,
    "names": Names,
    "listen": Listen,
    "greet": Greet,
    "fragments": Fragments,
    "closer": Closer,
    "counter": Counter,
    "environ": Environ,
    "failing": Failing,
    "flood": Flood,
    "rash-flood": RashFlood,
    "stage": Stage,
    "teller": Teller,
    "from-thread": FromThread,
    "async-echo": AsyncEcho,
    "async-failing": AsyncFailing,
    "async-flood": AsyncFlood,
    "async-fragments": AsyncFragments,
}

# What a server serves: every class of hooks at the path of its name.
ROUTES: dict[str, type[WebSocket]] = {
    f"/{name}": type(hooks.__name__, (hooks, WebSocket), {}) for name, hooks in HOOKS.items()
}
ROUTES["/écho room"] = ROUTES["/echo"]


class Unmade(WebSocket):
    """Fail to be made: by the error that the query names, else by a forgotten ``super().__init__()``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if "raises" in arguments[3]["QUERY_STRING"]:
            raise ValueError("nobody's business")


def run_script(ws: Any) -> None:
    """Run the script that the query names; ``then`` fail, by what is no Exception if that is ``odd``."""
    query = _query_of(ws)
    kit = type(ws._pull_kit).__module__.rpartition(".")[2]
    sleep = importlib.import_module(kit.removesuffix("_kit")).sleep if kit in GREENLETS else time.sleep
    follow(SCRIPTS[query["script"]](query["tag"]), ws, sleep)
    fail_then(query)


def fail_then(query: dict[str, str]) -> None:
    """Raise what the query says."""
    if "then" in query:
        error = asyncio.CancelledError if query["then"] == "odd" else LookupError
        raise error(f"function fails for tag={query['tag']}")


async def run_script_async(ws: Any) -> None:
    """Do the same in a task."""
    query = _query_of(ws)
    await follow_async(SCRIPTS[query["script"]](query["tag"]), ws, _sleep)
    fail_then(query)


async def _sleep(seconds: float) -> None:
    """Sleep on whatever runs here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await importlib.import_module("trio").sleep(seconds)
    else:
        await asyncio.sleep(seconds)


def _query_of(ws: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(ws.environ["QUERY_STRING"]).items()}


def routes(functions: str) -> dict[str, Any]:
    """Return the routes of a server that runs functions in ``threads`` or ``tasks``."""
    return {**ROUTES, "/unmade": Unmade, "/function": run_script if functions == "threads" else run_script_async}


def client_class(hooks: str, base: type[Any], **namespace: Any) -> type[Any]:
    """Make the client class of a case for a kind of client."""
    return type(HOOKS[hooks].__name__, (HOOKS[hooks], base), namespace)


def tag_of(url: str) -> str:
    """Return the tag that the test put into a URL."""
    return parse_qs(urlsplit(url).query).get("tag", [""])[0]


def note_failure(url: str, error: BaseException) -> None:
    """Note that a client could not connect, and why."""
    tag = tag_of(url)
    facts = {name: getattr(error, name) for name in ("status", "headers") if hasattr(error, name)}
    body = getattr(error, "body", b"").decode("latin-1")
    kinds = [kind.__name__ for kind in type(error).__mro__]
    note(tag, "failed", error=type(error).__name__, kinds=kinds, text=str(error), body=body, **facts)
