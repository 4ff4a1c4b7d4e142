"""Small frames, one behind the other."""

from __future__ import annotations

import random
from typing import Any

import pytest

from test._core.builds import BUILDS, COMPILED
from test.chunking import KEY, Piece

SIZES = [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 1000, 1023, 1024, 1025, 40_000, 65_535]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("key", [None, KEY])
class TestFrames:
    @pytest.mark.parametrize("size", SIZES)
    def test_one_frame_is_as_rfc_6455_5_2_has_it(self, build: Any, key: bytes | None, size: int) -> None:
        data = random.Random(size).randbytes(size)
        frames = build.new_frames()
        frame = Piece(2, data).to_bytes(masked=key is not None)
        assert len(frame) == frames.add(0x82, data, key)
        assert frame == frames.whole()
        assert b"" == frames.whole()

    def test_many_stand_one_behind_the_other_in_the_order_they_came(self, build: Any, key: bytes | None) -> None:
        drawn = random.Random(1)
        frames = build.new_frames()
        for _ in range(3):
            payloads = [drawn.randbytes(drawn.choice(SIZES)) for _ in range(40)]
            for payload in payloads:
                frames.add(0x81, payload, key)
            assert b"".join(Piece(1, each).to_bytes(masked=key is not None) for each in payloads) == frames.whole()


def test_what_does_not_fit_is_refused_by_the_compiled_ones() -> None:
    if COMPILED is None:
        return  # the pure ones write any frame
    frames = COMPILED.new_frames()
    for payload, key in ((bytes(65_536), None), (b"a", b"123"), (b"a", b"12345")):
        with pytest.raises(ValueError, match=r"no small frame"):
            frames.add(0x82, payload, key)
    assert b"" == frames.whole()
