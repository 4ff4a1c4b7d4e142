"""Conversations that are recorded: what the server is, and what the browser's page does.

`python -m test.recordings.make` records them all anew, with the Chromium on the PATH; names behind it
choose some. Each recording replays byte by byte with the class that stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import Limits
from ws4py_ng.websocket import EchoWebSocket, WebSocket

__all__ = ["SCENES", "Scene"]

QUIET = Limits(ping_interval=None)


class Scene(NamedTuple):
    """Say how a recording is made.

    ``script`` is the body of a function of JavaScript that has ``url`` and ``open(protocols)``, which
    gives an object with ``ws``, ``send``, ``next()`` and ``closed``; ``raw`` are bytes of a hand-made
    client instead, masked with zeros. ``end`` is how it ends if nobody closes: "page crash",
    "kill" (of the browser), or "reset".
    """

    about: str
    script: str = ""
    app: type[WebSocket] = EchoWebSocket
    deflate: PerMessageDeflateFactory | None = None
    options: Mapping[str, Any] = {}
    raw: tuple[bytes, ...] = ()
    end: str = ""


class Fragments(WebSocket):
    """Answer each message in fragments, of which one is empty, with a Ping in between."""

    def received_message(self, message: Any) -> None:
        self.send(self._pieces(message.data), message.is_binary)

    def _pieces(self, data: bytes) -> Any:
        yield data[:3]
        self.ping("between")
        yield b""
        yield data[3:]


class ClosesFirst(WebSocket):
    """Close behind the first message."""

    def received_message(self, message: Any) -> None:
        self.send("good-bye")
        self.close(4002, "the server has had enough")


class Breaks(WebSocket):
    """Send what no peer may take: a text that is not UTF-8."""

    def received_message(self, message: Any) -> None:
        with self._transport.guard:
            self._outbox.add([b"\x81\x02\xc3\x28"], 4, 0)
        self._transport.written()


# Shorter and longer than a threshold, each form of the length, what compresses and what does not.
_TALK = """
    const peer = await open();
    for (const text of ['', 'hello', 'ζ ☃ 𝄞', 'x'.repeat(125), 'y'.repeat(126), 'word '.repeat(4000)]) {
        peer.ws.send(text);
        await peer.next();
    }
    peer.ws.send('one'); peer.ws.send('two'); peer.ws.send('word '.repeat(50));
    await peer.next(); await peer.next(); await peer.next();
    peer.ws.close(1000, 'done');
    await peer.closed;
"""


def _frame(first: int, payload: bytes) -> bytes:
    return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload


_DEFLATES: dict[str, tuple[str, PerMessageDeflateFactory]] = {
    "deflate": ("permessage-deflate as it is by default", PerMessageDeflateFactory()),
    "deflate_server_no_context_takeover": (
        "the server forgets its window after each message",
        PerMessageDeflateFactory(server_no_context_takeover=True),
    ),
    "deflate_client_no_context_takeover": (
        "the browser forgets its window after each message",
        PerMessageDeflateFactory(client_no_context_takeover=True),
    ),
    "deflate_server_max_window_bits": (
        "the server deflates with a window of 9 bits, at level 9",
        PerMessageDeflateFactory(server_max_window_bits=9, level=9, threshold=0),
    ),
    "deflate_client_max_window_bits": (
        "the browser deflates with a window of 9 bits, the server with 15",
        PerMessageDeflateFactory(client_max_window_bits=9, server_max_window_bits=15),
    ),
}

SCENES: dict[str, Scene] = {
    "text": Scene("text: empty, UTF-8 of each width, every form of the length, three at once", _TALK),
    "binary": Scene(
        "binary data: all bytes, and more than a read",
        """
    const peer = await open();
    peer.ws.send(new Uint8Array(256).map((_, i) => i));
    await peer.next();
    peer.ws.send(new Blob([new Uint8Array(70000).map((_, i) => i % 251)]));
    await peer.next();
    peer.ws.close();
    await peer.closed;
""",
    ),
    "fragments": Scene(
        "the server answers in fragments, an empty one too, with a Ping between them",
        """
    const peer = await open();
    peer.ws.send('in pieces');
    await peer.next();
    peer.ws.send(new Uint8Array([1, 2, 3, 4, 5]));
    await peer.next();
    peer.ws.close(1000);
    await peer.closed;
""",
        app=Fragments,
    ),
    **{name: Scene(about, _TALK, deflate=factory) for name, (about, factory) in _DEFLATES.items()},
    "subprotocol": Scene(
        "a subprotocol of two, and a path with a query",
        """
    const peer = await open(['first', 'second']);
    peer.ws.send(peer.ws.protocol);
    await peer.next();
    peer.ws.close();
    await peer.closed;
""",
        options={"protocols": ["second"]},
    ),
    "close_by_browser": Scene(
        "the browser closes with a code and a reason",
        "const peer = await open(); peer.ws.close(4001, 'the page is done ☃'); await peer.closed;",
    ),
    "close_by_server": Scene(
        "the server closes with a code and a reason",
        "const peer = await open(); peer.ws.send('bye?'); await peer.next(); await peer.closed;",
        app=ClosesFirst,
    ),
    "keepalive": Scene(
        "Pings of the keepalive, which the browser answers, and a heartbeat",
        """
    const peer = await open();
    peer.ws.send('first');
    await peer.next();
    await new Promise(resolve => setTimeout(resolve, 150));
    peer.ws.send('second');
    await peer.next();
    peer.ws.close();
    await peer.closed;
""",
        options={"limits": Limits(ping_interval=0.03), "heartbeat_freq": 0.05},
    ),
    "violation_by_server": Scene(
        "the server sends a text that is not UTF-8, and the browser fails the connection",
        "const peer = await open(); peer.ws.send('go on'); await peer.closed;",
        app=Breaks,
    ),
    "violation_by_client": Scene(
        "a hand-made client sends a frame that is not masked, behind one that is right",
        raw=(_frame(0x81, b"right") + b"\x81\x05wrong",),
    ),
    "violation_utf8": Scene(
        "a hand-made client sends a text that is not UTF-8, in two fragments",
        raw=(_frame(0x01, b"caf\xc3"), _frame(0x80, b"\x28")),
    ),
    "page_crash": Scene(
        "the page crashes, and the browser says 1001 for it",
        "const peer = await open(); peer.ws.send('last words'); await peer.next();",
        end="page crash",
    ),
    "abrupt_kill": Scene(
        "the browser is killed: the end of the stream, without a Close frame",
        "const peer = await open(); peer.ws.send('last words'); await peer.next();",
        end="kill",
    ),
    "abrupt_reset": Scene(
        "a hand-made client resets the connection in the middle of a frame",
        raw=(_frame(0x81, b"whole"), _frame(0x81, b"not all of it")[:9]),
        end="reset",
    ),
}
