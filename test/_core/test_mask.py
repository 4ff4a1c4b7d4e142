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
