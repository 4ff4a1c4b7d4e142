"""The outbox: what may be put there, in which order it is taken, and that threads do not mix it up."""

from __future__ import annotations

import sys
import threading
from itertools import product
from typing import Any

import pytest

from test._core.builds import BUILDS, COMPILED
from test.chunking import BINARY, KEY, TEXT, Piece

REFUSED, TOLD, KEPT = 0, 1, 2
LARGE = 16 * 1024


def plain(build: Any, **attributes: Any) -> Any:
    """Return an outbox of a connection that is open."""
    outbox = build.Outbox()
    for name, value in {"is_plain": True, **attributes}.items():
        setattr(outbox, name, value)
    return outbox


@pytest.mark.parametrize("build", BUILDS)
class TestOutbox:
    def test_it_is_false_and_empty_at_first_and_when_all_is_taken(self, build: Any) -> None:
        outbox = plain(build)
        assert not outbox
        assert [] == outbox.take()
        outbox.put(TEXT, b"")
        assert outbox
        outbox.take()
        assert not outbox
        outbox.add([{"an event": "of no size"}], 0, 1)
        assert outbox

    @pytest.mark.parametrize("key", [None, KEY])
    def test_small_messages_are_one_piece_and_others_stay_apart(self, build: Any, key: bytes | None) -> None:
        outbox = plain(build, new_mask_key=None if key is None else lambda: KEY)
        a, b, c = (Piece(opcode, data).to_bytes(key is not None) for opcode, data in ((1, b"a"), (2, b"b"), (1, b"c")))
        head, large = b"head", bytes(100_000)
        assert TOLD == outbox.put(TEXT, b"a")
        assert TOLD == outbox.put(BINARY, b"b")
        outbox.add([head, large], 100_004, 1)
        outbox.put(TEXT, b"c")
        assert (100_004, 4) == (outbox.largest, outbox.frames)
        assert len(a + b + c) + 100_004 == outbox.size
        pieces = outbox.take()
        assert [a + b, head, large, c] == pieces
        assert large is pieces[2]
        assert (0, 0, 4) == (outbox.size, outbox.largest, outbox.frames)

    @pytest.mark.parametrize(("name", "value"), [("is_plain", False), ("is_full", True), ("is_fragmenting", True)])
    def test_nothing_is_put_where_more_has_to_be_looked_at(self, build: Any, name: str, value: bool) -> None:
        for key, size in product((None, lambda: KEY), (1, LARGE)):
            outbox = plain(build, new_mask_key=key, **{name: value})
            assert REFUSED == outbox.put(TEXT, b"a" * size)
            assert (0, 0, []) == (outbox.size, outbox.frames, outbox.take())

    @pytest.mark.parametrize("size", [LARGE - 1, LARGE, 65535, 65536, 10 * LARGE])
    @pytest.mark.parametrize("key", [None, KEY])
    def test_a_large_message_stays_apart_and_is_copied_only_to_be_masked(
        self, build: Any, size: int, key: bytes | None
    ) -> None:
        outbox = plain(build, new_mask_key=None if key is None else lambda: KEY)
        a, b, c = (Piece(TEXT, data).to_bytes(key is not None) for data in (b"a", b"x" * size, b"c"))
        large = b"x" * size
        assert [TOLD] * 3 == [outbox.put(TEXT, data) for data in (b"a", large, b"c")]
        assert (len(b), 3, len(a + b + c)) == (outbox.largest, outbox.frames, outbox.size)
        pieces = outbox.take()
        assert a + b + c == b"".join(pieces)
        assert any(large is piece for piece in pieces) is (size >= LARGE and key is None)
        assert (0, 0, 3) == (outbox.size, outbox.largest, outbox.frames)

    def test_nobody_is_told_of_less_than_the_cork_holds(self, build: Any) -> None:
        outbox = plain(build, cork=6)
        assert [KEPT, TOLD, TOLD] == [outbox.put(TEXT, b"a") for _ in range(3)]

    @pytest.mark.parametrize("name", ["is_full", "is_fragmenting"])
    def test_what_happens_while_a_key_is_drawn_counts(self, build: Any, name: str) -> None:
        outbox = plain(build)

        def new_mask_key() -> bytes:
            setattr(outbox, name, True)  # as another thread may
            return KEY

        outbox.new_mask_key = new_mask_key
        for size in (1, LARGE):
            assert REFUSED == outbox.put(TEXT, b"a" * size)
        assert not outbox

    def test_all_is_taken_only_if_no_more_was_put_there_than_one_knows_of(self, build: Any) -> None:
        outbox = plain(build)
        outbox.put(TEXT, b"a")
        outbox.take()
        outbox.put(TEXT, b"b")
        assert outbox.take_if(1) is None
        assert [Piece(TEXT, b"b").to_bytes(False)] == outbox.take_if(2)
        assert [] == outbox.take_if(2)


def test_the_compiled_one_needs_no_guard() -> None:
    """Many threads put and one takes, which the interpreter interrupts as often as it can."""
    if COMPILED is None:
        return  # then the sender holds the guard
    outbox = plain(COMPILED)
    number = 20_000
    large = {name: name * LARGE for name in (b"a", b"b", b"c")}
    taken: list[bytes] = []

    def send(name: bytes) -> None:
        for i in range(number):
            outbox.put(BINARY, name)
            if i % 100 == 0:
                outbox.put(BINARY, large[name])
            outbox.add([Piece(TEXT, name).to_bytes(False)], 3, 1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=send, args=(name,)) for name in (b"a", b"b", b"c")]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            taken += outbox.take()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    taken += outbox.take()
    heads = {i - 1 for i, piece in enumerate(taken) if len(piece) == LARGE}
    assert {b"\x82\x7e\x40\x00"} == {taken[i] for i in heads}
    assert [number // 100] * 3 == [taken.count(each) for each in large.values()]
    sent = b"".join(piece for i, piece in enumerate(taken) if not {i, i - 1} & heads)
    assert 6 * number + 3 * number // 100 == outbox.frames
    assert 0 == outbox.size
    for name in (b"a", b"b", b"c"):
        assert [b"\x82\x01" + name, b"\x81\x01" + name] * number == [
            sent[i : i + 3] for i in range(0, len(sent), 3) if sent[i + 2 : i + 3] == name
        ]
