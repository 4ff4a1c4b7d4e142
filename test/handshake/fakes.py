"""Small extensions that do nothing but agree."""

from __future__ import annotations

from dataclasses import dataclass

from ws4py_ng.handshake.agreement import Params
from ws4py_ng.limits import Limits


@dataclass
class Codec:
    """Stand for an extension that was agreed on; remembers the parameters."""

    name: str
    params: Params
    rsv: int = 0x40

    def bound(self, limits: Limits) -> None:
        pass

    def should_compress(self, size: int, final: bool = True) -> bool:
        return False

    def compress(self, payload: bytes | bytearray | memoryview, final: bool = True) -> bytes:
        return bytes(payload)

    def decompress(self, payload: bytes | bytearray | memoryview, final: bool, budget: int) -> bytes:
        return bytes(payload)


@dataclass
class Fake:
    """Agree to any parameters but those that say ``bad``, on both sides."""

    name: str
    answer: str = "yes"

    def accept(self, params: Params) -> tuple[Params, Codec] | None:
        if ("bad", None) in params:
            return None
        return [(self.answer, None)], Codec(self.name, params)

    def offer(self) -> Params:
        return [("bits", "9"), (self.answer, None)]

    def confirm(self, params: Params) -> Codec:
        if params != [(self.answer, None)]:
            raise ValueError(f"expected {self.answer}, got {params!r}")
        return Codec(self.name, params)
