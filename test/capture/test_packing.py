"""A replay compresses as the recording did, whoever deflates now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from test.capture.recorded import LARGE, Talker, talk, with_threads
from test.extensions.engine_table import SETS, engines_of
from ws4py_ng.capture import read, replay
from ws4py_ng.capture.frames import scan
from ws4py_ng.extensions import PerMessageDeflateFactory, engines
from ws4py_ng.websocket import EchoWebSocket, WebSocket

FACTORY = PerMessageDeflateFactory(threshold=0)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Record an echo server that compresses by zlib, at a level that is no default."""
    path = tmp_path / "trace.wscap"
    kept, engines._chosen = engines._chosen, engines_of(("zlib",))
    try:
        with_threads(path, lambda port: talk(port, deflate=FACTORY), deflate=FACTORY)
    finally:
        engines._chosen = kept
    assert len(LARGE) > 20 * len(read(path).connection().outgoing()), "nothing was compressed"
    return path


@pytest.mark.parametrize("names", SETS, ids="+".join)
@pytest.mark.parametrize("splits", ["recorded", "random"])
def test_who_deflates_makes_no_difference(
    recording: Path, names: tuple[str, ...], splits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_chosen", engines_of(names))
    result = replay(recording, EchoWebSocket, splits=splits).check()
    assert ["hello", "in two", LARGE] == result.messages
    assert read(recording).connection().outgoing().endswith(result.sent)


def test_a_client_compresses_in_fragments_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.wscap"
    monkeypatch.setattr(engines, "_chosen", engines_of(("zlib",)))
    with_threads(False, lambda port: talk(port, path, deflate=FACTORY), deflate=FACTORY)
    monkeypatch.setattr(engines, "_chosen", engines_of(SETS[-1]))
    replay(path, Talker, splits="random").check()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_another_message_is_a_difference_in_its_frame(recording: Path, number: int) -> None:
    class Errs(WebSocket):
        count = 0

        def received_message(self, message: Any) -> None:
            data = message.data
            if self.count == number:
                data = b"x" + data[1:]
            self.count += 1
            self.send(data, message.is_binary)

    difference = replay(recording, Errs).difference
    assert difference is not None
    assert f"in frame {number} " in str(difference)


def test_what_is_sent_behind_a_difference_can_be_read(recording: Path) -> None:
    """It refers to nothing that was sent before."""

    class Errs(WebSocket):
        def received_message(self, message: Any) -> None:
            self.send(b"hullo" * 3 + message.data[5:], message.is_binary)

    conversation = replay(recording, Errs)
    peer = FACTORY.confirm([])
    frames = [frame for frame in scan(conversation.sent) if frame.opcode < 8]
    assert [b"hullo" * 3, b"hullo" * 3 + b"o", b"hullo" * 3 + LARGE[5:]] == [
        peer.decompress(frame.payload, True, 1 << 20) for frame in frames
    ]
