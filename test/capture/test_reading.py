"""Captures that are cut off, damaged or hostile: what can be read is read, the rest is named."""

from __future__ import annotations

import gzip
import struct
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from test.recordings.make import HERE
from ws4py_ng.capture import CaptureError, Recording, read
from ws4py_ng.capture.blocks import COMMENT, INTERFACE, PACKET, SECTION, block, option
from ws4py_ng.capture.model import inspect
from ws4py_ng.capture.reading import Reader

SECTION_HEAD = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
OURS = block(SECTION, SECTION_HEAD + option(COMMENT, b'{"ws4py_ng.capture": 1, "pid": 1}'))
IP = struct.pack("<HHI", 101, 0, 0)
ABOUT = block(INTERFACE, IP + option(COMMENT, b'{"role": "server", "connection": 1}'))


@cache
def recorded() -> bytes:
    return gzip.decompress((HERE / "fragments.wscap.gz").read_bytes())


def read_bytes(data: bytes, size: int = 1 << 20) -> Recording:
    reader = Reader("it")
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    return reader.finish()


def chunks_of(recording: Recording) -> list[tuple[bool, bytes]]:
    return [(chunk.outgoing, chunk.data) for each in recording.connections for chunk in each.chunks]


def test_a_file_that_is_read_while_it_is_written_gives_more_and_more() -> None:
    whole = chunks_of(read_bytes(recorded()))
    for size in range(len(OURS), len(recorded()), 13):
        found = read_bytes(recorded()[:size])
        assert whole[: len(chunks_of(found))] == chunks_of(found)
    assert whole == chunks_of(read_bytes(recorded(), size=7))


def test_a_file_that_ends_within_a_block_says_where() -> None:
    recording = read_bytes(recorded()[:-5])
    assert chunks_of(recording) == chunks_of(read_bytes(recorded()))[:-1]
    assert ["the file ends within a block"] == [p.what.partition(",")[0] for p in recording.problems]
    assert recording.problems[0].offset < len(recorded())


def test_a_compressed_file_that_is_cut_or_damaged_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    data = (HERE / "text.wscap.gz").read_bytes()
    path = tmp_path / "cut.wscap.gz"
    path.write_bytes(data[:-200])
    assert read(path).connection().chunks
    path.write_bytes(data[:-200] + b"\xff" * 200)
    recording = read(path)
    assert recording.connection().chunks
    assert any("damaged" in problem.what or "ends within" in problem.what for problem in recording.problems)


@pytest.mark.parametrize("data", [b"", b"\x0a\x0d", b"GET / HTTP/1.1\r\n", b"\x0a\x0d\x0d\x0a"])
def test_what_is_no_capture_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "none.wscap"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=r"is no capture: it begins with|There is no connection in .*at byte 0"):
        read(path).connection()


@pytest.mark.parametrize(
    ("blocks", "what"),
    [
        (block(SECTION, SECTION_HEAD + option(COMMENT, b'{"ws4py_ng.capture": 2}')), "a section in format 2"),
        (OURS + block(INTERFACE, b"abc"), "an interface without its head"),
        (OURS + block(INTERFACE, struct.pack("<HHI", 1, 0, 0)), "an interface that is none of ours"),
        (OURS + block(INTERFACE, IP), "an interface that describes no connection"),
        (OURS + block(INTERFACE, IP + option(COMMENT, b"[" * 60000)), "an interface that describes no connection"),
        (OURS + block(PACKET, bytes(8)), "a packet without its head"),
        (OURS + block(PACKET, struct.pack("<IIIII", 7, 0, 0, 0, 0)), "a packet of interface 7, of which there are 0"),
        (OURS + ABOUT + block(PACKET, struct.pack("<IIIII", 0, 0, 0, 9, 9)), "a packet that is no TCP segment"),
        (OURS + ABOUT + block(PACKET, struct.pack("<IIIII", 0, 0, 0, 4, 4) + b"\x45abc"), "no TCP segment"),
    ],
)
def test_each_kind_of_nonsense_is_named_with_its_offset(blocks: bytes, what: str) -> None:
    problems = read_bytes(blocks).problems
    assert len(problems) == 1
    assert what in problems[0].what
    assert 0 <= problems[0].offset < len(blocks)


def test_a_pcapng_of_somebody_else_is_for_the_importer() -> None:
    with pytest.raises(CaptureError, match="something else has written: import it"):
        read_bytes(block(SECTION, SECTION_HEAD))


@given(st.data())
@settings(max_examples=300)
def test_no_damage_does_more_than_lose_what_it_hit(data: st.DataObject) -> None:
    damaged = bytearray(recorded())
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(st.integers(0, len(damaged) - 1))
        kind = data.draw(st.sampled_from(["change", "remove", "insert"]))
        piece = data.draw(st.binary(min_size=1, max_size=40))
        if kind == "insert":
            damaged[start:start] = piece
        else:
            damaged[start : start + len(piece)] = piece if kind == "change" else b""
    try:
        recording = read_bytes(bytes(damaged), data.draw(st.sampled_from([1 << 20, 100])))
    except CaptureError:
        return
    for connection in recording.connections:
        inspect(connection).to_dict()


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=8))
def test_hostile_frames_are_looked_at_without_harm(chunks: list[tuple[bool, bytes]]) -> None:
    connection = read_bytes(recorded()).connection()
    heads, times = connection.chunks[:2], connection.chunks[0]
    connection.chunks = [*heads, *(times._replace(outgoing=out, data=data) for out, data in chunks)]
    inspect(connection).to_dict()
