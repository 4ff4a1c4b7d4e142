"""Who deflates: no library looks back further than was agreed on, and each does what it is the best for."""

from __future__ import annotations

import random
import zlib
from types import ModuleType

import pytest

from test.extensions.engine_table import StrictPeer, engines_of
from ws4py_ng.extensions import PerMessageDeflate, engines
from ws4py_ng.extensions.engines import Engines
from ws4py_ng.limits import Limits

LEVELS = range(10)
FAST = ("isal", "zlib_ng")


def periodic(bits: int, period: int) -> bytes:
    """Make noise that comes again after so many bytes."""
    noise = random.Random(period).randbytes(period)
    return (noise * 3)[: (1 << bits) + period + 600]


def test_the_peer_notices_a_look_back_beyond_its_window() -> None:
    for bits in (9, 12):
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = deflater.compress(periodic(bits, (1 << bits) + 1)) + deflater.flush(zlib.Z_SYNC_FLUSH)
        with pytest.raises(zlib.error, match="too far back"):
            StrictPeer(bits).read(packed[:-4])


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("kept", [True, False], ids=["kept", "primed for each message"])
def test_nobody_looks_back_beyond_the_window(chosen: Engines, bits: int, kept: bool) -> None:
    """The peer would read something else than was sent, or nothing any more."""
    small = bits < 12  # the others take long
    for level in (1, 2, 3, 5, 6, 9) if small else (1, 5, 6):
        for over in (-262, -1, 0, 1, 2, 258, 300) if small else (1,):
            codec = PerMessageDeflate(own_window_bits=bits, level=level)
            codec.bound(Limits(deflate_memory=1 << 30 if kept else 1))
            peer = StrictPeer(bits)
            data = periodic(bits, (1 << bits) + over)
            cut = len(data) * 2 // 3
            for message in (data[:cut], data[cut:], b"and a word"):
                assert message == peer.read(codec.compress(message)), (level, over)


@pytest.mark.parametrize("bits", range(9, 16))
def test_nobody_looks_back_on_a_message_before_without_context_takeover(chosen: Engines, bits: int) -> None:
    for level in LEVELS:
        codec = PerMessageDeflate(own_window_bits=bits, own_no_context_takeover=True, level=level)
        peer = StrictPeer(bits, forgets=True)
        for message in (b"Hello, hello, hello!" * 9, b"Hello, hello, hello!" * 9, periodic(9, 600)):
            assert message == peer.read(codec.compress(message))


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_taken_by_everybody(chosen: Engines, level: int) -> None:
    for engine in (chosen.kept[level], chosen.brief[level]):
        for mem_level in range(1, 10):
            deflater = engine.deflater(level, 12, mem_level)
            packed = deflater.compress(b"Hello" * 100) + deflater.flush(2)
            assert b"Hello" * 100 == zlib.decompressobj(-12).decompress(packed)
            assert (level == 0) == (len(packed) > 500)
            assert engine.cost(12, mem_level) > 1 << 12


# Libraries that are there; who deflates by level 0, 1, 3, 5, 6 and 9 what is kept and what is not; who inflates.
CHOICES = [
    ((), "zlib zlib zlib zlib zlib zlib", "zlib zlib zlib zlib zlib zlib", "zlib"),
    (("isal",), "zlib isal zlib zlib zlib zlib", "zlib isal isal isal zlib zlib", "zlib"),
    (("zlib_ng",), "zlib zlib zlib_ng zlib_ng zlib_ng zlib_ng", "zlib zlib zlib zlib zlib zlib", "zlib_ng"),
    (FAST, "zlib isal zlib_ng zlib_ng zlib_ng zlib_ng", "zlib isal isal isal zlib zlib", "zlib_ng"),
]


@pytest.mark.parametrize(("there", "kept", "brief", "inflates"), CHOICES)
def test_each_does_what_it_is_the_best_for(there: tuple[str, ...], kept: str, brief: str, inflates: str) -> None:
    found = engines_of(there)
    shown = [" ".join(group[level].name for level in (0, 1, 3, 5, 6, 9)) for group in (found.kept, found.brief)]
    assert ([kept, brief], inflates) == (shown, found.inflates)


def test_libraries_are_looked_for_once_and_not_before_a_message_is_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []

    def find() -> dict[str, ModuleType]:
        looks.append("looked")
        return {}

    monkeypatch.setattr(engines, "_chosen", None)
    monkeypatch.setattr(engines, "_find", None)
    engines.find_with(find)
    codec = PerMessageDeflate()
    assert [] == looks
    assert b"Hello" == codec.decompress(codec.compress(b"Hello"), True, 5)
    assert ["looked"] == looks
