"""What an inspection shows of the recordings."""

from __future__ import annotations

import json

import pytest

from test.recordings.make import HERE
from test.recordings.scenes import SCENES
from ws4py_ng.capture import read
from ws4py_ng.capture.model import Inspection, inspect


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
