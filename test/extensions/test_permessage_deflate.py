"""permessage-deflate, the codec (RFC 7692 7.2): vectors, peers that are plain zlib, hostile data."""

from __future__ import annotations

import random
import sys
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from test.extensions.engine_table import StrictPeer
from ws4py_ng.exc import ProtocolError
from ws4py_ng.extensions import PerMessageDeflate, engines
from ws4py_ng.extensions.kept import KEPT
from ws4py_ng.extensions.permessage_deflate import MAX_FINAL_BLOCKS
from ws4py_ng.extensions.sharing import compress_alone, follow
from ws4py_ng.limits import Limits

pytestmark = pytest.mark.usefixtures("chosen")

TAIL = b"\x00\x00\xff\xff"
PLENTY = 1 << 20
HELLO = bytes.fromhex("f248cdc9c90700")

# RFC 7692 7.2.3: messages as they come on one connection, what they say.
VECTORS = {
    "7.2.3.1 one block": (["f248cdc9c90700"], [b"Hello"]),
    "7.2.3.2 shared window": (["f248cdc9c90700", "f200110000"], [b"Hello", b"Hello"]),
    "7.2.3.2 no shared window": (["f248cdc9c90700", "f248cdc9c90700"], [b"Hello", b"Hello"]),
    "7.2.3.3 stored block": (["000500faff48656c6c6f00"], [b"Hello"]),
    "7.2.3.4 final block": (["f348cdc9c9070000"], [b"Hello"]),
    "7.2.3.5 two blocks": (["f24805000000ffffcac9c90700"], [b"Hello"]),
    "7.2.3.6 nothing": (["00"], [b""]),
    "final blocks, then shared window": (["f348cdc9c9070000", "f200110000"], [b"Hello", b"Hello"]),
    "two final blocks": (["f348cdc9c90700f348cdc9c9070000"], [b"HelloHello"]),
    "the second refers to the first": (["f348cdc9c90700f200110000"], [b"HelloHello"]),
    "an empty final block": (["030000"], [b""]),
    # Not as 7.2.1 has it, but nothing is lost and nothing else can be meant.
    "final block and no more": (["f348cdc9c90700", "f200110000"], [b"Hello", b"Hello"]),
    "no byte at all": (["", "f248cdc9c90700", "", "f200110000"], [b"", b"Hello", b"", b"Hello"]),
    # A stored block ends with the four bytes that are not sent.
    "data that looks like the tail": (["010400fbff"], [TAIL]),
}

BROKEN = {
    "reserved block type": "07",
    "garbage": "ffffffffff",
    "stored lengths differ": "0005000000",
    "too far back": "f20011000000",
    "half a stored block": "001400ebff48656c6c6f",
    "half a block": "f248cd",
    "garbage behind a final block": "f348cdc9c90700ffffff",
    "garbage behind two": "f348cdc9c90700030007",
    "half a block behind a final one": "f348cdc9c90700f248cd",
    "the tail was sent": "f248cdc9c907000000ffff",
    "a byte that looks like padding": "f348cdc9c90700000000",
}

SIZES = [0, 1, 2, 3, 63, 64, 127, 255, 256, 511, 512, 4095, 4096, 4097, 5000, 33_000]


def chunks_of(data: bytes, size: int) -> list[bytes]:
    """Cut data into fragments: none is empty unless there is no data."""
    return [data[i : i + size] for i in range(0, len(data), size)] or [b""]


def received(codec: PerMessageDeflate, fragments: Iterable[bytes], budget: int = PLENTY) -> bytes:
    """Inflate one message, the budget kept as its reader would."""
    plain = b""
    held = list(fragments)
    for i, fragment in enumerate(held):
        plain += codec.decompress(fragment, i == len(held) - 1, budget - len(plain))
    return plain


def sent(codec: PerMessageDeflate, fragments: list[bytes]) -> list[bytes]:
    """Deflate one message."""
    return [codec.compress(fragment, i == len(fragments) - 1) for i, fragment in enumerate(fragments)]


def deflated(data: bytes) -> bytes:
    """Deflate by plain zlib, up to a flush, tail and all."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)


def final_block(data: bytes) -> bytes:
    """Deflate by plain zlib, up to a final block."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def code_of(codec: PerMessageDeflate, fragments: Iterable[bytes], budget: int = PLENTY) -> int:
    """Give the close code that a message is answered by."""
    with pytest.raises(ProtocolError) as caught:
        received(codec, fragments, budget)
    return caught.value.code


@pytest.fixture
def peak() -> Iterator[Any]:
    """Measure the most memory, in bytes, that was held since."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


# What the RFC shows


@pytest.mark.parametrize("bits", [8, 9, 12, 15])
@pytest.mark.parametrize(("messages", "expected"), VECTORS.values(), ids=VECTORS)
def test_vectors_are_read_whole_and_in_bytes(messages: list[str], expected: list[bytes], bits: int) -> None:
    for size in (1, 2, 3, 100):
        codec = PerMessageDeflate(peer_window_bits=bits)
        assert expected == [received(codec, chunks_of(bytes.fromhex(message), size)) for message in messages]


@pytest.mark.parametrize(("messages", "expected"), VECTORS.values(), ids=VECTORS)
def test_vectors_are_read_at_every_split(messages: list[str], expected: list[bytes]) -> None:
    for at in range(len(bytes.fromhex(messages[-1])) + 1):
        codec = PerMessageDeflate()
        *first, last = map(bytes.fromhex, messages)
        plain = [received(codec, [message]) for message in first]
        # An empty fragment is one, wherever it stands.
        empty = [b""] * (at % 2)
        plain.append(received(codec, [*empty, last[:at], *empty, last[at:], *empty]))
        assert expected == plain


def test_hello_is_written_as_the_rfc_shows() -> None:
    assert HELLO == PerMessageDeflate().compress(b"Hello")


def test_without_context_takeover_the_same_message_is_the_same_bytes() -> None:
    codec = PerMessageDeflate(own_no_context_takeover=True)
    assert [HELLO, HELLO] == [codec.compress(b"Hello"), codec.compress(b"Hello")]


def test_with_context_takeover_the_same_message_is_shorter() -> None:
    codec = PerMessageDeflate()
    assert len(codec.compress(b"Hello")) > len(codec.compress(b"Hello"))


def test_without_context_takeover_a_reference_to_the_last_message_is_broken_data() -> None:
    codec = PerMessageDeflate(peer_no_context_takeover=True)
    assert b"Hello" == received(codec, [HELLO])
    assert 1007 == code_of(codec, [bytes.fromhex("f200110000")])


def test_without_context_takeover_a_message_still_refers_to_itself() -> None:
    codec = PerMessageDeflate(peer_no_context_takeover=True)
    message = bytes.fromhex("f348cdc9c90700" + "f200110000")
    assert [b"HelloHello"] * 2 == [received(codec, chunks_of(message, 1)), received(codec, [message])]


# Sending


@pytest.mark.parametrize("bits", [9, 12, 13, 15])
@pytest.mark.parametrize("forgets", [False, True])
def test_an_empty_message_is_one_byte_whatever_came_before(forgets: bool, bits: int) -> None:
    codec = PerMessageDeflate(own_window_bits=bits, own_no_context_takeover=forgets)
    assert [b"\x00"] * 2 == [codec.compress(b""), codec.compress(b"")]
    codec.compress(b"Hello")
    assert b"\x00" == codec.compress(b"")


@pytest.mark.parametrize("bits", [9, 12, 13, 15])
@pytest.mark.parametrize("forgets", [False, True])
def test_plain_zlib_reads_what_is_sent(forgets: bool, bits: int) -> None:
    codec = PerMessageDeflate(own_window_bits=bits, own_no_context_takeover=forgets)
    inflater = zlib.decompressobj(-bits)
    source = random.Random(bits)
    for size in SIZES:
        data = bytes(source.choices(b"abc \x00", k=size))
        if forgets:
            inflater = zlib.decompressobj(-bits)
        assert data == inflater.decompress(codec.compress(data) + TAIL)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_each_fragment_can_be_read_when_it_comes(size: int) -> None:
    codec, peer = PerMessageDeflate(), PerMessageDeflate()
    for message in (b"abc" * 700, b"", b"abcd" * 700):
        fragments = [*chunks_of(message, size), b""]
        coded = sent(codec, fragments)
        assert all(fragment.endswith(TAIL) for fragment in coded[:-1])
        assert fragments == [peer.decompress(x, i == len(coded) - 1, PLENTY) for i, x in enumerate(coded)]


def test_anything_like_bytes_is_taken() -> None:
    codec = PerMessageDeflate()
    for kind in (bytes, bytearray, memoryview):
        coded = codec.compress(kind(b"Hello, hello"))
        assert isinstance(coded, bytes)
        assert b"Hello, hello" == codec.decompress(kind(coded), True, 12)


@pytest.mark.parametrize(
    ("expected", "size", "final"),
    [(False, 0, True), (False, 63, True), (True, 64, True), (True, 0, False), (True, 1 << 20, True)],
)
def test_a_message_below_the_threshold_is_not_worth_it(expected: bool, size: int, final: bool) -> None:
    assert expected is PerMessageDeflate().should_compress(size, final)


def test_with_a_window_of_eight_bits_nothing_is_compressed() -> None:
    codec = PerMessageDeflate(own_window_bits=8)
    assert not codec.should_compress(PLENTY)
    assert not codec.should_compress(PLENTY, final=False)
    with pytest.raises(ValueError, match="own_window_bits is 8, expected 9 to 15"):
        codec.compress(b"Hello")


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"own_window_bits": 7}, "own_window_bits is 7, expected 8 to 15"),
        ({"peer_window_bits": 16}, "peer_window_bits is 16, expected 8 to 15"),
        ({"level": 10}, "level is 10, expected 0 to 9"),
    ],
)
def test_settings_out_of_range_are_named(setting: dict[str, int], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        PerMessageDeflate(**setting)  # type: ignore[arg-type]


# Receiving


@pytest.mark.parametrize(("bits", "peer"), [(9, 8), (9, 9), (12, 12), (12, 15), (15, 15)])
def test_what_plain_zlib_sends_is_read(bits: int, peer: int) -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -bits)
    codec = PerMessageDeflate(peer_window_bits=peer)
    source = random.Random(bits)
    for size in SIZES * 2:
        data = bytes(source.choices(b"abc \x00", k=size))
        coded = deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
        fragments = chunks_of(coded.removesuffix(TAIL) or b"\x00", source.randrange(1, 900))
        assert data == received(codec, fragments)


def test_a_peer_that_exceeds_its_window_sends_broken_data() -> None:
    # Within one frame zlib can look back on all of its output, so it takes two.
    noise = random.Random(1).randbytes(3000)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    frames = [deflater.compress(noise) + deflater.flush(zlib.Z_SYNC_FLUSH) for _ in range(2)]
    assert noise == PerMessageDeflate(peer_window_bits=9).decompress(frames[0], False, PLENTY)
    assert 1007 == code_of(PerMessageDeflate(peer_window_bits=9), frames)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("data", [bytes.fromhex(text) for text in BROKEN.values()], ids=BROKEN)
def test_broken_data_is_1007(data: bytes, size: int) -> None:
    assert 1007 == code_of(PerMessageDeflate(), chunks_of(data, size))


def test_a_message_of_exactly_the_budget_is_taken() -> None:
    for data in (b"", b"a", bytes(70_000)):
        for size in (1, 100):
            assert data == received(PerMessageDeflate(), chunks_of(deflated(data)[:-4], size), len(data))


def test_the_budget_may_be_the_largest_size_that_limits_take() -> None:
    limits = Limits(max_message_size=sys.maxsize)
    assert b"Hello" == PerMessageDeflate().decompress(HELLO, True, limits.max_message_size)


def test_a_byte_more_than_the_budget_is_1009() -> None:
    for data in (b"a", b"ab", bytes(70_000)):
        for size in (1, 100):
            assert 1009 == code_of(PerMessageDeflate(), chunks_of(deflated(data)[:-4], size), len(data) - 1)


@pytest.mark.parametrize("final", [False, True])
def test_a_budget_that_is_overdrawn_is_1009(final: bool) -> None:
    with pytest.raises(ProtocolError, match="1009"):
        PerMessageDeflate().decompress(HELLO, final, -1)


@pytest.mark.parametrize("fragment", [None, 64 * 1024, 1000])
def test_a_bomb_of_one_gib_stops_at_the_budget(peak: Any, fragment: int | None) -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflater.compress(bytes(1 << 24)) + deflater.flush(zlib.Z_FULL_FLUSH)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    assert block == deflater.compress(bytes(1 << 24)) + deflater.flush(zlib.Z_FULL_FLUSH)
    bomb = block * 64
    fragments = chunks_of(bomb, fragment or len(bomb))
    before = peak()
    assert 1009 == code_of(PerMessageDeflate(), fragments, 1 << 20)
    # The output while zlib and then Python put it together, and two copies of a frame.
    assert (2 << 20) + 2 * len(fragments[0]) + (128 << 10) > peak() - before


def test_a_bomb_of_one_gib_in_final_blocks_stops_at_the_budget() -> None:
    block = final_block(bytes(1 << 20))
    assert 1009 == code_of(PerMessageDeflate(), [block * 1024], 3 << 20)
    assert 1009 == code_of(PerMessageDeflate(), [block] * 1024, 3 << 20)


def test_endless_final_blocks_are_1009() -> None:
    # 524,288 of them, in a frame of 1 MiB; half of that must not be looked at.
    assert 1009 == code_of(PerMessageDeflate(), [b"\x03\x00" * (1 << 19)])
    assert 1009 == code_of(PerMessageDeflate(), [b"\x03\x00\x03\x00"] * (MAX_FINAL_BLOCKS + 1))


def test_as_many_final_blocks_as_allowed_are_read_in_each_message() -> None:
    codec = PerMessageDeflate()
    message = final_block(b"ab") * MAX_FINAL_BLOCKS
    for _ in range(2):
        assert b"ab" * MAX_FINAL_BLOCKS == codec.decompress(message, True, PLENTY)


def test_large_blocks_behind_a_final_one_are_read() -> None:
    noise = random.Random(2).randbytes(100_000)
    message = final_block(noise) + final_block(noise[::-1]) + deflated(noise)[:-4]
    for size in (999, PLENTY):
        assert noise + noise[::-1] + noise == received(PerMessageDeflate(), chunks_of(message, size))


# Memory


@pytest.mark.parametrize(
    ("most", "settings"),
    [
        (512, {}),
        (512 + 2 * 64, {"own_no_context_takeover": True, "peer_no_context_takeover": True}),
        (512 + 2 * 4096, {"peer_window_bits": 12}),
        (512 + 4096 + 32768, {"peer_window_bits": 15}),
        (512 + 2 * 4096, {"own_window_bits": 15, "peer_window_bits": 12}),
    ],
)
def test_an_idle_codec_holds_no_more_than_its_windows(most: int, settings: dict[str, Any]) -> None:
    limits = Limits(deflate_memory=1)

    def use(codec: PerMessageDeflate) -> PerMessageDeflate:
        codec.bound(limits)
        noise = random.Random(3).randbytes(2000)
        for _ in range(30 if settings else 0):
            assert noise == codec.decompress(codec.compress(noise), True, PLENTY)
        return codec

    use(PerMessageDeflate(**settings))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    codecs = [use(PerMessageDeflate(**settings)) for _ in range(20)]
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert most > held / len(codecs)


# Compressors that are kept


def talkers(count: int, room: int, **settings: Any) -> list[tuple[PerMessageDeflate, StrictPeer]]:
    """Make codecs whose compressors have so much room together, each with its peer, and nobody else."""
    KEPT._held.clear()  # of another test, until the garbage is collected
    made = [(PerMessageDeflate(**settings), StrictPeer(settings.get("own_window_bits", 12))) for _ in range(count)]
    for codec, _ in made:
        codec.bound(Limits(deflate_memory=room))
    return made


def say(codec: PerMessageDeflate, peer: StrictPeer, message: bytes) -> None:
    """Send a message, and let the peer read it."""
    assert message == peer.read(codec.compress(message))


def cost_of(codec: PerMessageDeflate) -> int:
    """Tell what is taken by a compressor that is kept."""
    return engines.current().kept[codec.level].cost(codec.own_window_bits, codec.mem_level)


def is_kept(codec: PerMessageDeflate) -> bool:
    """Tell whether a codec's compressor is still there."""
    return codec._key in KEPT._held


@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("places", [0, 1, 3, 100])
def test_a_peer_can_read_all_whoever_has_a_place(places: int, bits: int) -> None:
    cost = cost_of(PerMessageDeflate(own_window_bits=bits))
    made = talkers(6, places * cost + 1, own_window_bits=bits)
    source = random.Random(bits)
    for number in range(120):
        codec, peer = source.choice(made)
        message = b"Hello %d, it is me: %s" % (number, source.randbytes(source.choice([0, 9, 900, 5000]))) * 2
        say(codec, peer, message)
        assert places >= sum(is_kept(codec) for codec, _ in made)
    assert min(places, 6) == sum(is_kept(codec) for codec, _ in made)


def test_who_talks_takes_the_place_of_who_is_silent() -> None:
    made = talkers(3, 2 * cost_of(PerMessageDeflate()))
    for codec, peer in made:
        say(codec, peer, b"I am the first to talk")
    assert [True, True, False] == [is_kept(codec) for codec, _ in made]
    # It has said something since the others did.
    say(*made[2], b"I talk and talk")
    assert [False, True, True] == [is_kept(codec) for codec, _ in made]


def test_who_talks_in_turn_keeps_the_place_that_it_has() -> None:
    """One place taken and given up for each message would cost the most."""
    made = talkers(5, 2 * cost_of(PerMessageDeflate()))
    for _ in range(4):
        for codec, peer in made:
            say(codec, peer, b"We all talk as much")
        assert [True, True, False, False, False] == [is_kept(codec) for codec, _ in made]


def test_a_connection_that_ends_takes_its_compressor_with_it() -> None:
    made = talkers(3, PLENTY)
    for codec, peer in made:
        say(codec, peer, b"Hello" * 20)
    keys = {codec._key for codec, _ in made}
    assert keys == keys & set(KEPT._held)
    del made, codec
    assert not keys & set(KEPT._held)


def test_a_connection_that_agreed_and_has_not_talked_has_no_compressor() -> None:
    codec = PerMessageDeflate()
    codec.decompress(HELLO, True, 5)
    assert (None, None, False) == (codec._deflater, codec._inflater, is_kept(codec))


def test_a_message_in_fragments_has_its_compressor_for_itself() -> None:
    made = talkers(2, cost_of(PerMessageDeflate()))
    (slow, its_peer), (quick, peer) = made
    say(slow, its_peer, b"I was here before")
    first = slow.compress(b"I was here ", final=False)
    for _ in range(3):
        say(quick, peer, b"and I talk in between")
    last = slow.compress(b"before")
    assert b"I was here before" == its_peer.read(first + last)


def test_a_shared_message_ends_what_a_compressor_knows() -> None:
    for room in (1, PLENTY):
        ((codec, peer),) = talkers(1, room)
        for _ in range(2):
            say(codec, peer, b"this is of my own" * 9)
            shared = b"this is for everybody" * 9
            assert shared == peer.read(compress_alone(codec, shared))
            follow(codec, shared)
            say(codec, peer, shared + b"this is of my own" * 9)


def test_threads_do_not_get_hold_of_what_is_anothers() -> None:
    """Each has a connection of its own, all of them two places."""
    made = talkers(6, 2 * cost_of(PerMessageDeflate()))

    def talk(pair: tuple[PerMessageDeflate, StrictPeer]) -> None:
        for number in range(150):
            say(*pair, b"%d: " % (number * id(pair)) + b"Hello" * (number % 40))

    with ThreadPoolExecutor(len(made)) as pool:
        list(pool.map(talk, made))
