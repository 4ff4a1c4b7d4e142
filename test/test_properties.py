"""What holds for every stream, and not only for those that somebody thought of."""

from __future__ import annotations

from typing import Any

import hypothesis
from hypothesis import given
from hypothesis import strategies as st

from test.chunking import KEY, Piece, cut, deflated, frames, one_byte, wire
from test.drivers import Recorder, as_role
from ws4py_ng._core import FrameReader, encode_frame
from ws4py_ng.codes import is_sendable
from ws4py_ng.endpoint import Ending
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.framing import Frame
from ws4py_ng.limits import Limits
from ws4py_ng.streaming import Stream
from ws4py_ng.testing import pair
from ws4py_ng.utf8validator import Utf8Validator

LIMITS = Limits(max_message_size=500, max_fragments=20)

texts = st.text(max_size=60).map(str.encode)
blobs = st.binary(max_size=300)
controls = st.tuples(st.sampled_from([9, 10]), st.binary(max_size=125)).map(lambda made: Piece(*made))


@st.composite
def messages(draw: Any, deflate: bool = False) -> list[Piece]:
    """Make one message, in any fragments, with control frames between them."""
    opcode = draw(st.sampled_from([1, 2]))
    data = draw(texts if opcode == 1 else blobs)
    packed = deflate and draw(st.booleans())
    if packed:
        data = deflated(data)
    parts = cut(data, draw(st.lists(st.integers(0, 300), max_size=4))) or [b""]
    pieces = []
    for n, part in enumerate(parts):
        first, last = n == 0, n == len(parts) - 1
        pieces.append(Piece(opcode if first else 0, part, int(last), 4 if first and packed else 0))
        if not last:
            pieces += draw(st.lists(controls, max_size=2))
    return pieces


closes = st.builds(
    lambda code, reason: Piece(8, code.to_bytes(2, "big") + reason.encode()),
    st.sampled_from([1000, 1001, 3000, 4999]),
    st.text(max_size=20),
)


@st.composite
def streams(draw: Any, deflate: bool = False) -> list[Piece]:
    """Make a valid stream of frames, to its Close or not."""
    groups = draw(st.lists(messages(deflate) | controls.map(lambda piece: [piece]), max_size=6))
    pieces = [piece for group in groups for piece in group]
    return pieces + draw(st.lists(closes, max_size=1))


# Bytes that somebody has played with.
changes = st.lists(
    st.tuples(st.sampled_from(["flip", "set", "drop", "insert", "repeat"]), st.integers(0, 400), st.integers(0, 255)),
    min_size=1,
    max_size=4,
)


def changed(data: bytes, how: list[tuple[str, int, int]]) -> bytes:
    """Change bytes."""
    for kind, place, value in how:
        place %= max(len(data), 1)
        byte = data[place : place + 1]
        middle = {
            "flip": bytes(b ^ (1 << value % 8) for b in byte),
            "set": bytes([value]),
            "drop": b"",
            "insert": byte + bytes([value]) * (value % 5),
            "repeat": data[place : place + value],
        }[kind]
        data = data[:place] + middle + data[place + 1 :]
    return data


places = st.lists(st.integers(0, 700), max_size=12)


class Outcome:
    """Run a session by hand, and take note of all that it did."""

    def __init__(self, chunks: list[bytes], role: str, deflate: bool = False, limits: Limits = LIMITS) -> None:
        self.endpoint = Recorder()
        as_role(self.endpoint, role, limits, deflate)
        session = self.endpoint.session()
        out = b""
        self.resumes = 0
        self.held = 0
        self.ending: Ending | None = None
        try:
            step = next(session)
            for chunk in (*chunks, b""):
                self.resumes += 1
                assert isinstance(step, int)
                assert 1 <= step <= limits.max_message_size + 300
                step = session.send(chunk)
                out += self.endpoint.bytes_to_send()
                self.held = max(self.held, self._memory())
            raise AssertionError("the session goes on behind the end of the stream")
        except StopIteration as stop:
            self.ending = stop.value
        out += self.endpoint.bytes_to_send()
        self.out = frames(out, masked=role == "client")

    def _memory(self) -> int:
        stream: Any = self.endpoint._stream
        reader = stream._reader
        return (
            len(reader.buffer)
            + len(reader.partial.piece(0) if reader.partial is not None else b"")
            + len(stream._parts or b"")
        )

    @property
    def shown(self) -> tuple[Any, ...]:
        return self.endpoint.events, self.out, self.ending, self.endpoint.errors


roles = st.sampled_from(["server", "client"])


@hypothesis.settings(max_examples=500)
@given(streams(), roles, places)
def test_a_valid_stream_says_the_same_however_it_is_cut(pieces: list[Piece], role: str, where: list[int]) -> None:
    data = wire(pieces, masked=role == "server")
    whole = Outcome([data] if data else [], role)
    for chunks in (cut(data, where), one_byte(data)):
        assert whole.shown == Outcome(chunks, role).shown
    assert whole.ending is not None
    assert (1006 if not pieces or pieces[-1].opcode != 8 else whole.ending.code) == whole.ending.code
    pongs = [frame.payload for frame in whole.out if frame.opcode == 10]
    assert [piece.payload for piece in pieces if piece.opcode == 9] == pongs
    data_of = b"".join(piece.payload for piece in pieces if piece.opcode < 3)
    said = [value for kind, value in (event for event in whole.endpoint.events if len(event) == 2) if kind != "ponged"]
    assert data_of == b"".join(value.encode() if isinstance(value, str) else value for value in said)


@hypothesis.settings(max_examples=300)
@given(streams(deflate=True), roles, places)
def test_a_compressed_stream_says_the_same_however_it_is_cut(pieces: list[Piece], role: str, where: list[int]) -> None:
    data = wire(pieces, masked=role == "server")
    whole = Outcome([data] if data else [], role, deflate=True)
    assert whole.shown == Outcome(cut(data, where), role, deflate=True).shown
    assert whole.shown == Outcome(one_byte(data), role, deflate=True).shown
    assert whole.ending is not None
    assert whole.ending.code in (1000, 1001, 1006, 3000, 4999)


@hypothesis.settings(max_examples=1000)
@given(streams(deflate=True), changes, roles, places, st.booleans())
def test_a_broken_stream_is_a_close_and_nothing_worse(
    pieces: list[Piece], how: list[tuple[str, int, int]], role: str, where: list[int], deflate: bool
) -> None:
    data = changed(wire(pieces, masked=role == "server"), how)
    chunks = cut(data, where)
    outcome = Outcome(chunks, role, deflate)
    assert outcome.shown == Outcome(one_byte(data), role, deflate).shown
    assert [] == outcome.endpoint.errors
    assert outcome.resumes <= len(chunks) + 1
    assert outcome.held <= LIMITS.max_message_size + max(map(len, chunks), default=0) + 300
    assert 1 == sum(event[0] == "closed" for event in outcome.endpoint.events)
    assert "closed" == outcome.endpoint.events[-1][0]
    sent = [frame for frame in outcome.out if frame.opcode == 8]
    assert len(sent) <= 1
    if sent:
        assert outcome.out[-1] is sent[0]
        payload = sent[0].payload
        assert not payload or (is_sendable(int.from_bytes(payload[:2], "big")) and payload[2:].decode() is not None)
    for kind, *value in outcome.endpoint.events:
        if kind in ("text", "binary"):
            assert len(value[0].encode() if kind == "text" else value[0]) <= LIMITS.max_message_size


@hypothesis.settings(max_examples=300)
@given(st.binary(max_size=200), roles, places)
def test_noise_is_a_close_and_nothing_worse(data: bytes, role: str, where: list[int]) -> None:
    outcome = Outcome(cut(data, where), role)
    assert outcome.shown == Outcome(one_byte(data), role).shown
    assert [] == outcome.endpoint.errors


payloads = st.one_of(
    st.text(max_size=80),
    st.binary(max_size=300),
    st.lists(st.text(max_size=30), max_size=4),
    st.lists(st.binary(max_size=100), max_size=4),
)
factories = st.builds(
    PerMessageDeflateFactory,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.sampled_from([None, 9, 12, 15]),
    client_max_window_bits=st.sampled_from([True, None, 8, 9, 12, 15]),
    threshold=st.sampled_from([0, 64]),
)


def is_binary(payload: Any) -> bool:
    """Tell whether a payload has to be sent as binary data."""
    return isinstance(payload, bytes) or any(isinstance(part, bytes) for part in payload)


def as_event(payload: Any) -> tuple[str, Any]:
    """Return what the other side is to see of it."""
    if is_binary(payload):
        return "binary", payload if isinstance(payload, bytes) else b"".join(payload)
    return "text", payload if isinstance(payload, str) else "".join(payload)


@hypothesis.settings(max_examples=300)
@given(st.lists(payloads, max_size=6), st.lists(payloads, max_size=6), st.none() | factories, places)
def test_what_is_sent_arrives_on_both_sides(
    mine: list[Any], theirs: list[Any], deflate: PerMessageDeflateFactory | None, where: list[int]
) -> None:
    link: Any = pair(Recorder, Recorder, deflate=deflate, cut=lambda data: cut(data, where))
    for endpoint, said in ((link.client, mine), (link.server, theirs)):
        for payload in said:
            endpoint.send(payload, is_binary(payload))
    link.run_until_idle()
    assert [("opened",), *map(as_event, mine)] == link.server.events
    assert [("opened",), *map(as_event, theirs)] == link.client.events
    link.close(1000, "done")
    assert Ending(1000, b"done", True) == link.server_ending == link.client_ending


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_the_validator_agrees_with_python(parts: list[bytes]) -> None:
    validator = Utf8Validator()
    seen = b""
    for part in parts:
        valid, whole, _, total = validator.validate(part)
        seen += part
        wrong = None
        try:
            seen.decode()
        except UnicodeDecodeError as error:
            wrong = error.reason
        assert (wrong in (None, "unexpected end of data"), wrong is None) == (valid, whole)
        if not valid:
            break
        assert len(seen) == total


@given(st.text(max_size=20), st.binary(max_size=6), places)
def test_the_validator_finds_the_same_however_it_is_cut(text: str, tail: bytes, where: list[int]) -> None:
    data = text.encode() + tail
    whole, pieces = Utf8Validator(), Utf8Validator()
    expected = whole.validate(data)
    result: Any = (True, True, 0, 0)
    for part in cut(data, where):
        result = pieces.validate(part)
        if not result[0]:
            break
    assert expected[:2] == result[:2]


@given(
    st.sampled_from([0, 1, 2, 8, 9, 10]),
    st.binary(max_size=300),
    st.none() | st.binary(min_size=4, max_size=4),
    st.booleans(),
    places,
)
def test_a_frame_is_read_as_it_was_built(
    opcode: int, body: bytes, key: bytes | None, fin: bool, where: list[int]
) -> None:
    if opcode >= 8:
        body, fin = body[:125], True
    built = Frame(opcode, body, key, int(fin)).build()
    assert encode_frame(fin << 7 | opcode, body, key) == built
    frame = Frame()
    for part in cut(built, where):
        wanted = frame.parser.send(part)
    assert wanted is None
    assert (opcode, int(fin), key) == (frame.opcode, frame.fin, frame.masking_key)
    assert body == (bytes(frame.unmask(frame.body)) if key else frame.body)
    reader: Any = FrameReader(key is not None, 1000, 10)
    reader.fragments = int(opcode == 0)
    reader.feed(built)
    assert reader.try_frame()
    assert (opcode, fin, 0, body) == (reader.opcode, reader.fin, reader.rsv, reader.payload)


@given(st.integers(0, 70000), st.sampled_from([None, KEY]))
def test_a_head_says_the_length(length: int, key: bytes | None) -> None:
    stream = Stream(always_mask=key is not None, new_mask_key=lambda: KEY)
    outbox: list[bytes] = []
    assert stream.encode(2, bytes(length), outbox) == len(b"".join(outbox))
    (seen,) = frames(b"".join(outbox), masked=key is not None)
    assert bytes(length) == seen.payload
