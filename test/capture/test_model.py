"""What an inspection shows of the recordings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from test.recordings.make import HERE
from test.recordings.scenes import SCENES
from ws4py_ng.capture import read
from ws4py_ng.capture.frames import FrameScanner
from ws4py_ng.capture.model import Inspection, Inspector, inspect


def look(name: str) -> Inspection:
    return inspect(read(HERE / f"{name}.wscap.gz").connection())


def test_messages_are_whole_and_inflated() -> None:
    plain, deflated = look("text"), look("deflate")
    assert sorted(row.data for row in plain.messages) == sorted(row.data for row in deflated.messages)
    assert ["hello"] * 2 == [row.text for row in plain.messages[2:4]]
    assert None is plain.ratio
    assert deflated.ratio is not None
    assert deflated.ratio > 10
    assert [row.ratio for row in deflated.messages if not row.compressed].count(None) == 5


def test_fragments_make_one_message() -> None:
    found = look("fragments")
    row = found.messages[1]
    assert ("in pieces", 3, False) == (row.text, row.frames, row.from_client)
    assert 3 == sum(each.message == row.number and not each.from_client for each in found.frames)


def test_pings_have_latencies_and_silence_is_a_gap() -> None:
    found = look("keepalive")
    assert len(found.latencies) >= 2
    assert all(0 < latency < 1 for latency in found.latencies)
    assert found.longest_gap > 0.01


@pytest.mark.parametrize(
    ("name", "close", "violation"),
    [
        ("close_by_browser", "by the client: 4001 (application) the page is done ☃", ""),
        ("close_by_server", "by the server: 4002 (application) the server has had enough", ""),
        ("violation_by_client", "by the server: 1002 (protocol error) Frame is not masked", "Frame is not masked"),
        ("violation_utf8", "by the server: 1007 (invalid frame payload data) Invalid UTF-8", "Invalid UTF-8"),
        ("violation_by_server", "by the client: 1002 (protocol error) Invalid UTF-8 in text frame", "Invalid UTF-8"),
        ("page_crash", "by the client: 1001 (going away)", ""),
    ],
)
def test_the_close_has_its_meaning_and_violations_are_marked(name: str, close: str, violation: str) -> None:
    found = look(name)
    assert found.close.startswith(close)
    assert ([violation] if violation else []) == [violation for text in found.violations if violation in text]
    assert len(found.violations) == sum(row.violation != "" for row in found.frames)


def test_an_abrupt_end_is_told() -> None:
    found = look("abrupt_reset")
    assert "" == found.close
    assert any("broke after" in end and "ConnectionResetError" in end for end in found.ends)
    assert "a frame was cut off, of which 9 bytes are there" in found.ends


@pytest.mark.parametrize("name", SCENES)
def test_everything_is_plain_values(name: str) -> None:
    assert json.loads(json.dumps(look(name).to_dict()))["frames"]


@pytest.mark.parametrize("name", SCENES)
def test_a_connection_that_grows_shows_what_it_would_show_at_once(name: str) -> None:
    whole = read(HERE / f"{name}.wscap.gz").connection()
    growing = replace(whole, chunks=[])
    inspector = Inspector(growing)
    for number, chunk in enumerate(whole.chunks):
        growing.chunks.append(chunk)
        if number % 3:
            so_far = replace(whole, chunks=whole.chunks[: number + 1])
            assert inspect(so_far).to_dict() == inspector.update().to_dict()
    assert inspect(whole).to_dict() == inspector.update().to_dict()


def test_what_was_looked_at_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(HERE / "text.wscap.gz").connection()
    growing = replace(whole, chunks=whole.chunks[:-4])
    inspector = Inspector(growing)
    assert inspect(growing).to_dict() == inspector.update().to_dict()
    fed: list[bytes] = []
    feed = FrameScanner.feed
    monkeypatch.setattr(FrameScanner, "feed", lambda self, data: fed.append(data) or feed(self, data))
    growing.chunks += whole.chunks[-4:]
    inspector.update()
    assert [chunk.data for chunk in whole.chunks[-4:] if chunk.data] == fed
    assert inspect(whole).to_dict() == inspector.update().to_dict()


def test_a_connection_that_begins_in_an_earlier_part_is_looked_at_once() -> None:
    whole = read(HERE / "text.wscap.gz").connection()
    later = replace(whole, chunks=whole.chunks[2:], continued=True)
    inspector = Inspector(later)
    assert inspect(later).to_dict() == inspector.update().to_dict()
    assert inspect(later).to_dict() == inspector.update().to_dict()
