"""Captures of conversations that have not been: with the times, and the wickedness, that a test wants."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from ws4py_ng.capture.writing import CaptureFile, Line
from ws4py_ng.codes import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from ws4py_ng.framing import Frame

__all__ = ["Script", "hostile", "many", "story"]

KEY = b"\x12\x34\x56\x78"
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
REQUEST = "GET {target} HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{more}\r\n"
RESPONSE = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{more}\r\n"


class Script:
    """Write a capture as a server would, one connection after the other; ``at`` is seconds since the first."""

    def __init__(self, path: Path) -> None:
        self.file = CaptureFile(path, 1 << 40)
        self.at = 0.0

    def connect(self, target: str = "/", more: str = "", about: dict[str, Any] | None = None) -> None:
        """Begin a connection and shake hands."""
        known = {"role": "server", "transport": "asyncio", "secure": True, "local": ["192.0.2.1", 443]}
        self.line = Line(known | {"peer": ["198.51.100.7", 50000]} | (about or {}), None, None)
        self.file.enter()
        # With the context of what it said before, each direction.
        self._deflate = {way: zlib.compressobj(wbits=-15) for way in (False, True)}
        self.raw(False, REQUEST.format(target=target, more=more).encode())
        self.at += 0.001
        self.raw(True, RESPONSE.format(more=more).encode())

    def raw(self, by_server: bool, data: bytes) -> None:
        """Record bytes as they are."""
        self.file.chunk(self.line, 10**12 + round(self.at * 1e9), by_server, data)

    def frame(self, by_server: bool, opcode: int, data: bytes, *, fin: bool = True, masked: bool | None = None) -> None:
        """Record a frame, of which the client's are masked."""
        key = KEY if (not by_server if masked is None else masked) else None
        self.raw(by_server, Frame(opcode=opcode, body=data, fin=int(fin), masking_key=key).build())

    def client(self, wait: float, opcode: int, data: bytes, **options: Any) -> None:
        self.at += wait
        self.frame(False, opcode, data, **options)

    def server(self, wait: float, opcode: int, data: bytes, **options: Any) -> None:
        self.at += wait
        self.frame(True, opcode, data, **options)

    def compressed(self, wait: float, by_server: bool, text: str) -> None:
        """Record a compressed text in one frame."""
        self.at += wait
        codec = self._deflate[by_server]
        data = codec.compress(text.encode()) + codec.flush(zlib.Z_SYNC_FLUSH)
        frame = bytearray(Frame(opcode=TEXT, body=data[:-4], fin=1, masking_key=None if by_server else KEY).build())
        frame[0] |= 0x40
        self.raw(by_server, bytes(frame))

    def end(self) -> Path:
        """End the connection, and the file with the last one."""
        self.file.leave(self.line)
        return self.file.path


def order(number: int) -> str:
    return json.dumps(
        {"type": "order", "id": 7001 + number, "items": [{"sku": "tea-08", "count": 2}], "total": 18.9 + number}
    )


def story(path: Path) -> Path:
    """Write what a page shows well: JSON, compression, Pings, silence, pieces, bytes, and a violation."""
    script = Script(path)
    script.connect("/orders?room=kitchen", DEFLATE)
    script.compressed(0.04, False, json.dumps({"type": "subscribe", "topics": ["orders", "stock"]}))
    for number in range(7):
        script.compressed(0.05 + 0.03 * number, True, order(number))
        script.compressed(0.02, False, json.dumps({"type": "ack", "id": 7001 + number}))
    script.server(0.3, PING, b"beat 1")
    script.client(0.0142, PONG, b"beat 1")
    script.client(0.2, TEXT, b"the printer is ", fin=False)
    script.client(0.05, CONTINUATION, "out of paper ☕".encode())
    script.server(2.8, PING, b"beat 2")
    script.client(0.0231, PONG, b"beat 2")
    script.client(0.12, BINARY, bytes(range(256)) * 12)
    for number in range(7, 13):
        script.compressed(0.06 + 0.01 * number, True, order(number))
        script.compressed(0.03, False, json.dumps({"type": "ack", "id": 7001 + number}))
    script.client(0.35, TEXT, b'{"type": "note", "text": "caf\xe9"}')
    script.server(0.0008, CLOSE, b"\x03\xefInvalid UTF-8")
    script.client(0.02, CLOSE, b"\x03\xef")
    return script.end()


WICKED = (
    "</script><script>document.title = 'broken'; window.broken = 1</script>",
    "<img src=x onerror='window.broken = 2'>",
    "</textarea></title></style><svg onload='window.broken = 3'>",
    "line\u2028separator\u2029\u202eturned\u0000\u001b[31m",
    "<!--<script>",
    "{{data}} ]]> --> \" ' ` ${window.broken = 4}",
)


def hostile(path: Path) -> Path:
    """Write what would break out of a page that is careless; the file's own name may be wicked as well."""
    script = Script(path)
    name = "n" * 50_000
    more = f"X-{name}: {WICKED[0]}\r\nX-Image: {WICKED[1]}\r\n"
    script.connect("/" + "</script><b>" * 2000, more, {"transport": WICKED[0], "local": {"no": ["address"]}})
    for text in WICKED:
        script.client(0.01, TEXT, text.encode())
        script.server(0.01, BINARY, text.encode())
        script.client(0.01, TEXT, json.dumps({text: text}).encode())
    script.client(0.01, PING, WICKED[1].encode()[:125])
    script.client(0.01, TEXT, ("wide " * 60_000 + WICKED[0]).encode())
    script.client(0.01, TEXT, b"[" * 200_000)
    script.client(0.01, TEXT, b"[" * 5000 + b"]" * 5000)
    script.server(0.01, CLOSE, b"\x0f\xa1" + WICKED[1].encode())
    script.client(0.01, TEXT, b"bad \xff\xfe </script>")
    return script.end()


def many(path: Path, count: int) -> Path:
    """Write so many messages, of which every thousandth is large; the last one says so."""
    script = Script(path)
    script.connect()
    for number in range(count - 1):
        text = f"message {number}" + " and more" * (200 if number % 1000 == 0 else 1)
        (script.server if number % 2 else script.client)(0.0005, TEXT, text.encode())
    script.client(0.0005, TEXT, b"the last message")
    script.client(0, CLOSE, b"\x03\xe8")
    return script.end()
