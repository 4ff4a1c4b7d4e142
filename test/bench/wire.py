"""Frames as the load generator makes and checks them, by means of its own: it trusts nobody's library."""

from __future__ import annotations

import itertools
import json
import random
import zlib
from collections.abc import Iterator

TEXT, BINARY = 0x1, 0x2
FIN, RSV1, MASKED = 0x80, 0x40, 0x80
KEY = bytes.fromhex("37fa213d")
TAIL = b"\x00\x00\xff\xff"


def head(opcode: int, size: int, masked: bool, rsv: int = 0) -> bytes:
    """Make the head of a frame, without its key."""
    mask = MASKED if masked else 0
    if size < 126:
        return bytes([FIN | rsv | opcode, mask | size])
    if size < 65536:
        return bytes([FIN | rsv | opcode, mask | 126]) + size.to_bytes(2, "big")
    return bytes([FIN | rsv | opcode, mask | 127]) + size.to_bytes(8, "big")


def masked(payload: bytes, key: bytes = KEY) -> bytes:
    """Mask, or unmask."""
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


def client_frame(opcode: int, payload: bytes, rsv: int = 0, key: bytes = KEY) -> bytes:
    """Make a frame as a client sends it."""
    return head(opcode, len(payload), True, rsv) + key + masked(payload, key)


def server_frame(opcode: int, payload: bytes, rsv: int = 0) -> bytes:
    """Make a frame as a server sends it."""
    return head(opcode, len(payload), False, rsv) + payload


def parse(data: bytes | bytearray, start: int = 0) -> tuple[int, bytes, int] | None:
    """Read one frame of a server: its first byte, the payload, where it ends; None if it is not there yet."""
    if len(data) < start + 2:
        return None
    size, at = data[start + 1], start + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(data[at : at + width], "big"), at + width
    if len(data) < at + size:
        return None
    return data[start], bytes(data[at : at + size]), at + size


def documents(seed: int = 7455) -> Iterator[bytes]:
    """Make JSON texts of about 1 KiB, no two alike: orders, as an exchange or a shop would tell them."""
    pick = random.Random(seed)
    states = ["new", "partially_filled", "filled", "cancelled", "expired"]
    for number in itertools.count(1):
        orders = [
            {
                "id": f"{pick.getrandbits(64):016x}",
                "symbol": pick.choice(["BTC-EUR", "ETH-EUR", "SOL-USD", "ADA-USD"]),
                "side": pick.choice(["buy", "sell"]),
                "price": f"{pick.uniform(1, 60000):.2f}",
                "quantity": f"{pick.uniform(0.001, 30):.6f}",
                "status": pick.choice(states),
                "updated_at": f"2025-03-{pick.randint(1, 28):02}T{pick.randint(0, 23):02}:{pick.randint(0, 59):02}:00Z",
            }
            for _ in range(6)
        ]
        yield json.dumps({"type": "orders", "sequence": number, "orders": orders}).encode()


class Repeated:
    """Plan to send one frame again and again, and to get one answer as often, byte by byte as expected."""

    def __init__(self, frame: bytes, answer: bytes, most: int = 1 << 20) -> None:
        self.frame_size, self._answer_size = len(frame), len(answer)
        self._frames = memoryview(frame * (max(most // len(frame), 1) + 1))
        self._expected = memoryview(answer * (max(most // len(answer), 1) + 2))
        self.most = most
        self._received = 0
        self.bytes_received = 0

    def prepare(self, count: int) -> None:
        """Get ready for so many messages."""
        self._received = 0

    def end_of(self, count: int) -> int:
        """Return how many bytes the first messages have."""
        return count * self.frame_size

    def piece(self, start: int, end: int) -> memoryview:
        """Return bytes to send, as many of them as there are in one piece."""
        phase = start % self.frame_size
        return self._frames[phase : phase + min(end - start, self.most)]

    def take(self, data: memoryview) -> int:
        """Check what came, and return how many answers are complete."""
        phase = self._received % self._answer_size
        assert len(data) <= self.most
        if data != self._expected[phase : phase + len(data)]:
            raise AssertionError(f"answer {self._received // self._answer_size} is not what was sent")
        self._received += len(data)
        return self._received // self._answer_size

    def finish(self) -> None:
        """Check what is left to check."""
        if self._received % self._answer_size:
            raise AssertionError("more came than was asked for")
        self.bytes_received += self._received


class Compressed:
    """Plan to send compressed texts, whose context goes from message to message, and to get the same texts back."""

    most = 1 << 20

    def __init__(self, bits: int = 15, takeover: bool = True, answers_take_over: bool = True) -> None:
        self._source = documents()
        self._takeover, self._answers_take_over = takeover, answers_take_over
        self._bits = bits
        self._deflater = self._new_deflater()
        self._inflater = zlib.decompressobj(-15)
        self._texts: list[bytes] = []
        self._out = b""
        self._ends: list[int] = []
        self._in = bytearray()
        self._at = 0
        self._answers: list[tuple[int, bytes]] = []
        self.bytes_received = 0
        self.texts_received = 0
        self.size_of_texts = 0

    def _new_deflater(self) -> zlib._Compress:
        return zlib.compressobj(wbits=-self._bits)

    def prepare(self, count: int) -> None:
        """Compress so many messages."""
        self._texts = list(itertools.islice(self._source, count))
        frames = [self._frame(text) for text in self._texts]
        self._out = b"".join(frames)
        self._ends = [0, *itertools.accumulate(map(len, frames))]
        self._in.clear()
        self._at = 0
        self._answers.clear()

    def _frame(self, text: bytes) -> bytes:
        deflater = self._deflater if self._takeover else self._new_deflater()
        packed = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return client_frame(TEXT, packed[: -len(TAIL)], RSV1)

    def end_of(self, count: int) -> int:
        """Return how many bytes the first messages have."""
        return self._ends[count]

    def piece(self, start: int, end: int) -> memoryview:
        """Return bytes to send."""
        return memoryview(self._out)[start:end]

    def take(self, data: memoryview) -> int:
        """Count the frames that have come."""
        self._in += data
        while (frame := parse(self._in, self._at)) is not None:
            first, payload, self._at = frame
            self._answers.append((first, payload))
        return len(self._answers)

    def finish(self) -> None:
        """Inflate the answers, and compare them with what was sent."""
        assert self._at == len(self._in), "more came than was asked for"
        for (first, payload), text in zip(self._answers, self._texts, strict=True):
            assert first & 0xF == TEXT, f"the answer has the opcode {first & 0xF}"
            if first & RSV1:
                payload = self._inflater.decompress(payload + TAIL)
                if not self._answers_take_over:
                    self._inflater = zlib.decompressobj(-15)
            if payload != text:
                raise AssertionError("the answer is not the text that was sent")
        self.bytes_received += len(self._in)
        self.texts_received += len(self._texts)
        self.size_of_texts += sum(map(len, self._texts))
