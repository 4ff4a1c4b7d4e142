"""The other side of a case: bytes on a socket, frames checked strictly, nothing of the library."""

from __future__ import annotations

import os
import socket
import ssl
import struct
import zlib
from typing import Any, NamedTuple

from .diary import WAIT, Page

__all__ = ["BINARY", "CLOSE", "CONTINUATION", "PING", "PONG", "TEXT", "Frame", "Pairs", "Peer", "frame"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
Pairs = list[tuple[str, str]]


class Frame(NamedTuple):
    """Hold a frame that was read."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


def frame(opcode: int, payload: bytes = b"", *, mask: bool, fin: bool = True, rsv: int = 0) -> bytes:
    """Make a frame; its mask key is random, as it should be."""
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        length = bytes([bit | size])
    elif size < 65536:
        length = struct.pack("!BH", bit | 126, size)
    else:
        length = struct.pack("!BQ", bit | 127, size)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode]) + length
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + masked(payload, key)


def masked(payload: bytes, key: bytes) -> bytes:
    """Apply a mask."""
    size = len(payload)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def close_payload(code: int | None, reason: bytes = b"") -> bytes:
    """Make the payload of a Close frame; None for an empty one."""
    return b"" if code is None else struct.pack("!H", code) + reason


def pattern(size: int) -> bytes:
    """Make a payload in which no two places look alike, of ASCII."""
    line = b"".join(b"%07x\n" % number for number in range(min(size // 8 + 1, 65536)))
    return (line * (size // len(line) + 1))[:size]


class Peer:
    """Speak frames on a connected socket behind the handshake; strict about what it reads.

    ``masks``: it is a client, whose frames are masked, and must not get masked ones.
    """

    def __init__(self, sock: Any, page: Page, *, masks: bool, buffer: bytes = b"") -> None:
        sock.settimeout(WAIT)
        self.sock = sock
        self.page = page
        self.masks = masks
        self.buffer = bytearray(buffer)
        self.headers: Pairs = []
        self.request_line = ""
        self.deflate: tuple[Any, Any] | None = None
        self.status = 101
        self.mask_keys: list[bytes] = []

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    # Writing

    def write(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.sock.sendall(data)

    def send(self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> None:
        """Send a frame."""
        self.write(self.frame(opcode, payload, fin=fin, rsv=rsv))

    def frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
        """Make a frame of this side."""
        return frame(opcode, payload, mask=self.masks, fin=fin, rsv=rsv)

    def text(self, text: str) -> None:
        """Send a text message."""
        self.send(TEXT, text.encode())

    def close(self, code: int | None = 1000, reason: bytes = b"") -> None:
        """Send a Close frame."""
        self.send(CLOSE, close_payload(code, reason))

    def reset(self) -> None:
        """End the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock = socket.socket(fileno=self.sock.detach())
        self.sock.close()

    def end(self) -> None:
        """Send a FIN and nothing more."""
        self.sock.shutdown(socket.SHUT_WR)

    # Reading

    def take(self, size: int) -> bytes:
        """Read so many bytes; fewer only at the end."""
        while len(self.buffer) < size:
            data = self.sock.recv(max(65536, min(size - len(self.buffer), 1 << 20)))
            if not data:
                break
            self.buffer += data
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def take_head(self) -> tuple[str, Pairs]:
        """Read a head of HTTP: its first line and its headers."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"the connection ended within a head: {bytes(self.buffer)!r}"
            self.buffer += data
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        self.buffer = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(":", 1) for line in lines]
        return first, [(name.lower(), value.strip()) for name, value in pairs]

    def take_rest(self) -> bytes:
        """Read to the end."""
        return self.take(1 << 62)

    def frame_or_end(self) -> Frame | None:
        """Read a frame, None at the end; AssertionError for one that RFC 6455 5.2 forbids."""
        head = self.take(2)
        if not head:
            return None
        first, second = head
        size, opcode = second & 0x7F, first & 0x0F
        assert bool(second & 0x80) is not self.masks, "the mask is on the wrong side"
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), f"opcode {opcode}"
        rsv = first >> 4 & 0x7
        assert rsv == 0 or (rsv == 4 and self.deflate is not None and opcode in (TEXT, BINARY)), f"RSV {rsv}"
        assert opcode < CLOSE or (size <= 125 and first & 0x80), "a control frame that is too long or has no FIN"
        if size == 126:
            size = int.from_bytes(self.take(2), "big")
            assert size > 125, "a length that could be shorter"
        elif size == 127:
            size = int.from_bytes(self.take(8), "big")
            assert size > 65535, "a length that could be shorter"
        key = self.take(4) if second & 0x80 else b""
        if key:
            self.mask_keys.append(key)
        payload = self.take(size)
        assert len(payload) == size, "the connection ended within a frame"
        return Frame(opcode, masked(payload, key) if key else payload, bool(first & 0x80), rsv)

    def next(self) -> Frame:
        """Read a frame."""
        found = self.frame_or_end()
        assert found is not None, f"the connection ended; seen of {self.page.tag}: {self.page.so_far()}"
        return found

    def message(self) -> Frame:
        """Read a whole message in its fragments; between them nothing else may come."""
        found = self.next()
        assert found.opcode in (TEXT, BINARY), f"{found} where a message was to come"
        payload, last = found.payload, found
        while not last.fin:
            last = self.next()
            assert last.opcode == CONTINUATION, f"{last} within a message"
            payload += last.payload
        if found.rsv:
            assert self.deflate is not None
            payload = self.deflate[1].decompress(payload + b"\0\0\xff\xff")
        if found.opcode == TEXT:
            payload.decode("utf-8")
        return Frame(found.opcode, payload)

    def expect_close(self, code: int | None, reason: bytes | None = None) -> bytes:
        """Read a Close frame with this code, None for an empty one; return the reason."""
        found = self.next()
        assert found.opcode == CLOSE, f"{found} where a Close frame was to come"
        assert (None if not found.payload else int.from_bytes(found.payload[:2], "big")) == code, found
        text = found.payload[2:]
        text.decode("utf-8")
        assert reason in (None, text), found
        return text

    def expect_end(self) -> None:
        """See the connection end in good order: no RST, not a byte more."""
        rest = self.take_rest()
        assert b"" == rest, f"{rest[:100]!r} where the connection was to end"

    def finish(self, code: int = 1000) -> None:
        """Close well, wait for the answer and the end."""
        self.close(code)
        self.expect_close(code)
        if self.masks:
            self.expect_end()
        self.sock.close()

    def compress(self, payload: bytes) -> bytes:
        """Deflate a message (RFC 7692 7.2.1)."""
        assert self.deflate is not None, "deflate was not agreed on"
        packer = self.deflate[0]
        data: bytes = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
        return data[:-4]
