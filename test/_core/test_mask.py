"""Masking: against the four lines of RFC 6455 5.3."""

from __future__ import annotations

import random
from typing import Any

import pytest

from test._core.builds import BUILDS
from test.chunking import KEY, xored


@pytest.mark.parametrize("build", BUILDS)
class TestMask:
    @pytest.mark.parametrize("size", [*range(40), 63, 64, 65, 1000, 4096, 65537])
    def test_each_byte_meets_its_byte_of_the_key(self, build: Any, size: int) -> None:
        data = random.Random(size).randbytes(size)
        assert xored(data) == build.apply_mask(data, KEY)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_becomes_bytes(self, build: Any, kind: Any) -> None:
        masked = build.apply_mask(kind(b"Hello, world"), KEY)
        assert bytes is type(masked)
        assert b"Hello, world" == build.apply_mask(masked, KEY)

    def test_where_the_buffer_lies_does_not_matter(self, build: Any) -> None:
        data = bytes(range(64))
        for start in range(16):
            assert xored(data[start:]) == build.apply_mask(memoryview(data)[start:], KEY)

    def test_zeros_and_ones_are_keys_like_others(self, build: Any) -> None:
        data = b"\x00\xff" * 9
        assert data == build.apply_mask(data, bytes(4))
        assert b"\xff\x00" * 9 == build.apply_mask(data, b"\xff" * 4)

    @pytest.mark.parametrize("key", [b"", b"abc", b"abcde"])
    def test_a_key_has_four_bytes(self, build: Any, key: bytes) -> None:
        for data in (b"", b"x", b"Hello, world"):
            with pytest.raises(ValueError, match="4 bytes"):
                build.apply_mask(data, key)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("key", [b"", KEY])
def test_what_came_of_a_payload_can_be_taken_at_any_time(build: Any, key: bytes) -> None:
    payload = bytes(range(256)) * 20
    data = xored(payload, key) if key else payload
    for size in (1, 2, 3, 5, 7, 1000):
        partial = build.new_partial(len(data), key)
        taken = b""
        for number, start in enumerate(range(0, len(data), size)):
            partial.add(data, start, min(start + size, len(data)))
            if number % 3 == 0:
                taken += partial.take()
            assert start + size >= len(partial) > start
        assert payload == taken + partial.whole()


@pytest.mark.parametrize("build", BUILDS)
def test_a_payload_larger_than_its_first_memory_can_be_taken(build: Any) -> None:
    mib = bytes(1 << 20)
    partial = build.new_partial(8 << 20, b"")
    for _ in range(3):
        partial.add(mib, 0, len(mib))
    assert 3 << 20 == len(partial.take())
    for _ in range(5):
        partial.add(mib, 0, len(mib))
    assert 8 << 20 == len(partial)
    assert 5 << 20 == len(partial.whole())
