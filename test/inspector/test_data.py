"""What the page is given of a recording."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from test.inspector.made import BINARY, CLOSE, CONTINUATION, TEXT, Script, hostile, story
from ws4py_ng.capture import read
from ws4py_ng.capture.model import inspect
from ws4py_ng.inspector import data, encode, page
from ws4py_ng.inspector.page import SCRIPTS


def encoded(path: Path, **options: Any) -> tuple[dict[str, Any], bytes]:
    """Give the JSON and the payloads of a recording."""
    found = gzip.decompress(encode(enumerate(map(inspect, read(path).connections)), **options))
    length = int.from_bytes(found[:4], "big")
    return json.loads(found[4 : 4 + length]), found[4 + length :]


def test_a_payload_that_is_a_message_of_its_own_is_there_once(tmp_path: Path) -> None:
    script = Script(tmp_path / "x.wscap")
    script.connect()
    script.client(0, TEXT, b"once " * 100)
    script.client(0, TEXT, b"tw", fin=False)
    script.client(0, CONTINUATION, b"ice")
    head, payloads = encoded(script.end())
    assert (1, 1) == (payloads.count(b"once " * 100), payloads.count(b"twice"))
    messages = head["connections"][0]["messages"]
    shown = [payloads[at : at + kept] for at, kept in zip(messages["at"], messages["kept"], strict=True)]
    assert [b"once " * 100, b"twice"] == shown
    assert ([1, 2], [0, 2]) == (messages["frames"], messages["last"])


def test_fragments_of_both_sides_at_once_belong_to_their_own_messages(tmp_path: Path) -> None:
    script = Script(tmp_path / "x.wscap")
    script.connect()
    script.client(0, TEXT, b"cli", fin=False)
    script.server(0, TEXT, b"server")
    script.client(0, CONTINUATION, b"ent")
    script.server(0, TEXT, b"never whole", fin=False)
    frames = encoded(script.end())[0]["connections"][0]["frames"]
    assert [1, 0, 1, -1] == frames["message"]


def test_long_payloads_are_cut_and_say_how_long_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(tmp_path / "x.wscap")
    script.connect()
    for _ in range(10):
        script.client(0, BINARY, bytes(1000))
    script.client(0, CLOSE, b"\x03\xe8")
    path = script.end()
    for longest, all_of_them, kept in ((600, 1 << 20, 600), (2048, 5200, 512), (1 << 20, 1 << 20, 1000)):
        monkeypatch.setattr(data, "MAX_PAYLOAD", longest)
        monkeypatch.setattr(data, "MAX_PAYLOADS", all_of_them)
        frames = encoded(path)[0]["connections"][0]["frames"]
        assert ([1000] * 10, [kept] * 10) == (frames["size"][:10], frames["kept"][:10])


def test_rows_beyond_the_limit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MAX_ROWS", 5)
    about = encoded(story(tmp_path / "x.wscap"))[0]["connections"][0]
    assert (5, 5) == (len(about["frames"]["number"]), len(about["messages"]["number"]))
    assert 37 + 29 - 10 == about["left_out"]


def test_what_is_wanted_is_there_and_the_rest_is_counted(tmp_path: Path) -> None:
    head, _ = encoded(story(tmp_path / "x.wscap"), wanted=lambda row: not row.from_client, with_frames=False)
    about = head["connections"][0]
    assert ([], {0}) == (about["frames"]["number"], set(about["messages"]["client"]))
    assert (21, 16) == (about["total"][0]["frames"], about["total"][1]["frames"])


def test_the_page_is_the_same_but_for_base64_whatever_was_recorded(tmp_path: Path) -> None:
    pages = []
    for path in (story(tmp_path / "a.wscap"), hostile(tmp_path / "b.wscap")):
        found = encode(enumerate(map(inspect, read(path).connections)), source="</script>")
        text = page(found).decode()
        before, _, rest = text.partition('id="data">')
        payload, _, after = rest.partition("<")
        assert payload.replace("+", "").replace("/", "").rstrip("=").isalnum()
        pages.append((before, after))
    assert pages[0] == pages[1]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page(b"").decode().replace("http://www.w3.org/2000/svg", "")
    for word in ("http:", "https:", "//cdn", "@import", "url(", "innerHTML", "eval("):
        assert word not in text
    assert 2 == text.count("</script>")
    assert len(SCRIPTS) == text.count('"use strict"')
