"""The writer: every length and form, with and without a mask."""

from __future__ import annotations

import random
from typing import Any

import pytest

from test._core.builds import BUILDS, COMPILED
from test.chunking import KEY, Piece

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537, 200_000]


@pytest.mark.parametrize("build", BUILDS)
class TestWriter:
    @pytest.mark.parametrize("size", SIZES)
    def test_a_frame_is_as_rfc_6455_5_2_has_it(self, build: Any, size: int) -> None:
        data = random.Random(size).randbytes(size)
        for opcode in (0, 1, 2, 8, 9, 10):
            assert Piece(opcode, data).to_bytes(masked=False) == build.encode_frame(0x80 | opcode, data, None)
        assert Piece(2, data).to_bytes(masked=True) == build.encode_frame(0x82, data, KEY)
        assert Piece(1, data, fin=0, rsv=4).to_bytes(masked=True) == build.encode_frame(0x41, data, KEY)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    @pytest.mark.parametrize("key", [None, KEY])
    def test_any_buffer_becomes_bytes(self, build: Any, kind: Any, key: bytes | None) -> None:
        frame = build.encode_frame(0x82, kind(b"Hello"), key)
        assert bytes is type(frame)
        assert Piece(2, b"Hello").to_bytes(masked=key is not None) == frame

    @pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536, 1 << 32, (1 << 63) - 1])
    def test_a_head_needs_no_payload(self, build: Any, length: int) -> None:
        assert Piece(2, length=length).to_bytes(masked=False) == build.frame_head(0x82, length, None)
        assert Piece(2, length=length).to_bytes(masked=True) == build.frame_head(0x82, length, KEY)


def test_the_compiled_writer_masks_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    if COMPILED is None:
        return  # there is no such writer
    from ws4py_ng._core import writer_c

    monkeypatch.setattr(writer_c, "apply_mask", None, raising=False)
    assert Piece(2, b"Hello").to_bytes(masked=True) == writer_c.encode_frame(0x82, b"Hello", KEY)
