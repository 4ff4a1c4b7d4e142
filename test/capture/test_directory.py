"""A directory of captures: bounded as it grows, what is written stays, and nobody looks at it all the time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ws4py_ng.capture import Capture, read
from ws4py_ng.capture.settings import open_tap
from ws4py_ng.capture.untapped import AnyTap

BOUND = 64 * 1024


def opened(directory: Path, size: int = 0) -> AnyTap:
    """Begin to record a connection in a directory."""
    tap = open_tap(Capture(f"{directory}/", max_size=BOUND), "server", "test")
    tap.received(b"GET / HTTP/1.1\r\n\r\n")
    tap.sent(b"HTTP/1.1 101 x\r\n\r\n")
    for _ in range(size // 1000):
        tap.sent(bytes(1000))
    return tap


def sizes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    old = opened(tmp_path)
    (first,) = tmp_path.iterdir()
    for _ in range(20):
        opened(tmp_path, 8000).close()
    old.sent(b"last words")
    old.close()
    assert b"last words" == read(first).connection().chunks[-2].data
    assert sizes(tmp_path) <= BOUND + BOUND // 16


def test_a_directory_is_bounded_while_connections_last(tmp_path: Path) -> None:
    taps = [opened(tmp_path) for _ in range(3)]
    for _ in range(200):
        for tap in taps:
            tap.sent(bytes(1000))
    assert sizes(tmp_path) <= BOUND + BOUND // 16
    for tap in taps:
        tap.close()


@pytest.mark.parametrize("times", [(1, 2, 3, 4), (1, 1, 1, 1)])
def test_the_oldest_goes_first(times: tuple[int, ...], tmp_path: Path) -> None:
    opened(tmp_path / "other", 8000).close()
    data = b"".join(path.read_bytes() for path in (tmp_path / "other").iterdir())
    assert len(data) > BOUND // 8
    names = ["b.3.wscap", "b.2.wscap", "b.1.wscap", "b.wscap"]
    for name, time in zip(names, times, strict=True):
        (tmp_path / name).write_bytes(data * 2)
        os.utime(tmp_path / name, (time, time))
    opened(tmp_path).close()
    left = sorted(path.name for path in tmp_path.iterdir() if path.name in names)
    assert sorted(names[-len(left) :]) == left
    assert 0 < len(left) < 4


def test_what_is_no_capture_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.wscap").write_bytes(bytes(BOUND))
    (tmp_path / "folder.wscap").mkdir()
    for _ in range(10):
        opened(tmp_path, 8000).close()
    assert {"notes.wscap", "folder.wscap"} < {path.name for path in tmp_path.iterdir()}


def test_a_directory_is_not_looked_at_for_each_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, looks = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda path: looks.append(path) or scan(path))
    for _ in range(100):
        tap = open_tap(Capture(f"{tmp_path}/"), "server", "test")
        tap.received(b"GET / HTTP/1.1\r\n\r\n")
        tap.close()
    assert 1 == looks.count(str(tmp_path)) + looks.count(tmp_path)
    assert 100 == len(list(tmp_path.iterdir()))
