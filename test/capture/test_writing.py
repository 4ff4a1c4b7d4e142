"""Capture files: bounded, in parts, whole after a kill, and no danger to the connections."""

from __future__ import annotations

import gzip
import logging
import os
import re
import signal
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from test.capture.recorded import LARGE, talk, with_asyncio, with_client, with_threads
from test.programs import Program
from ws4py_ng.capture import Capture, read, writing
from ws4py_ng.capture.settings import CaptureOption, open_tap, settings_of
from ws4py_ng.capture.writing import PARTS, part_path
from ws4py_ng.exc import HandshakeError

RECORDERS = [with_threads, with_asyncio, with_client]


@pytest.mark.parametrize("record", RECORDERS)
@pytest.mark.parametrize("name", ["trace.wscap", "trace.wscap.gz"])
def test_both_directions_are_recorded_from_the_handshake_to_the_end(record, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    record(path, deflate=False)
    recording = read(path)
    assert [] == recording.problems
    connection = recording.connection()
    server, client = connection.incoming(), connection.outgoing()
    if connection.role == "server":
        server, client = client, server
    assert client.startswith(b"GET /room?token=secret&x=1 HTTP/1.1\r\n")
    assert server.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert LARGE in server
    assert server.endswith(b"\x88\x06\x03\xe8done")
    assert [False, True] == sorted(chunk.outgoing for chunk in connection.chunks[-2:])
    assert [b"", b""] == [chunk.data for chunk in connection.chunks[-2:]]
    times = [chunk.time for chunk in connection.chunks]
    assert sorted(times) == times


def test_chunks_keep_their_boundaries(tmp_path: Path) -> None:
    with_client(tmp_path / "trace.wscap", deflate=False)
    sizes = [len(chunk.data) for chunk in read(tmp_path / "trace.wscap").connection().chunks if chunk.outgoing]
    assert max(sizes) >= len(LARGE)


def test_a_capture_is_its_owners_to_read(tmp_path: Path) -> None:
    with_threads(tmp_path / "trace.wscap")
    assert 0o600 == stat.S_IMODE((tmp_path / "trace.wscap").stat().st_mode)


def test_connections_share_a_file_one_after_the_other_and_at_once(tmp_path: Path) -> None:
    def twice(port: int) -> None:
        talk(port, tmp_path / "trace.wscap")
        talk(port, tmp_path / "trace.wscap")

    with_threads(tmp_path / "trace.wscap", twice)
    found = read(tmp_path / "trace.wscap")
    assert ["client", "client", "server", "server"] == sorted(each.role for each in found.connections)
    assert [] == found.problems


def test_in_a_directory_each_connection_has_a_file_and_the_oldest_go(tmp_path: Path) -> None:
    def often(port: int) -> None:
        for _ in range(5):
            talk(port)

    with_threads(Capture(f"{tmp_path}/new/", max_size=4 * 1024 * 1024), often, deflate=False)
    found = sorted((tmp_path / "new").iterdir())
    total = sum(path.stat().st_size for path in found)
    assert 1024 * 1024 < total <= 4 * 1024 * 1024  # of 15 connections, 400 KiB each
    assert all(1 == len(read(path).connections) for path in found)


def test_a_function_decides_by_the_request(tmp_path: Path) -> None:
    asked = []

    def choose(request):
        asked.append(request.target)
        return tmp_path / "trace.wscap" if len(asked) == 2 else None

    def twice(port: int) -> None:
        talk(port)
        talk(port)

    with_threads(choose, twice)
    assert ["/room?token=secret&x=1"] * 2 == asked
    assert 1 == len(read(tmp_path / "trace.wscap").connections)


def test_a_bound_on_the_size_makes_parts_and_each_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"

    def often(port: int) -> None:
        for _ in range(4):
            talk(port)

    with_threads(Capture(path, max_size=1024 * 1024), often, deflate=False)
    parts = [part_path(path, number) for number in range(PARTS) if part_path(path, number).exists()]
    assert len(parts) > 2
    assert sum(part.stat().st_size for part in parts) < 2 * 1024 * 1024
    assert all([] == read(part).problems for part in parts)
    assert any(connection.continued for part in parts for connection in read(part).connections)
    together = read(reversed(parts))
    assert 4 == len(together.connections)


@pytest.mark.parametrize("name", ["trace.wscap", "trace.wscap.gz", "trace.txt"])
def test_the_capture_of_an_earlier_run_is_kept_as_a_part(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    record_one(path)
    earlier = path.read_bytes()
    copy = tmp_path / f"copy-{name}"
    copy.write_bytes(earlier)  # as another process would have left it
    record_one(copy)
    assert earlier == part_path(copy, 1).read_bytes()
    assert [] == read(copy).problems


def record_one(target: CaptureOption) -> None:
    """Record a request and its answer."""
    tap = open_tap(settings_of(target), "server", "test")
    tap.received(b"GET / HTTP/1.1\r\n\r\n")
    tap.sent(b"HTTP/1.1 101 x\r\n\r\n")
    tap.close()


@pytest.mark.parametrize("at", ["notes.txt", "notes.1.txt", "notes.3.txt"])
@pytest.mark.parametrize("kind", ["text", "gzip", "pipe", "pcapng"])
def test_what_is_no_capture_stays_and_is_named(
    kind: str, at: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / at
    if kind == "pipe":
        os.mkfifo(place)
    else:
        data = {"text": b"important", "gzip": gzip.compress(b"important"), "pcapng": b"\n\r\r\n" + bytes(2000)}
        place.write_bytes(data[kind])
    before = place.stat()
    for _ in range(2):
        record_one(tmp_path / "notes.txt")
    assert [place] == list(tmp_path.iterdir())
    # Not all of it: that somebody has read it is seen as well.
    for what in ("st_mode", "st_ino", "st_size", "st_mtime_ns"):
        assert getattr(before, what) == getattr(place.stat(), what)
    assert [True] == [str(place) in record.getMessage() for record in caplog.records]


def test_an_empty_file_is_a_place_for_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    path.touch()
    record_one(path)
    assert 1 == len(read(path).connections)


PROGRAM = """
import sys
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket

with serve(EchoWebSocket, "127.0.0.1", 0) as server:
    print(server.port, flush=True)
    server.serve_forever()
"""


def test_after_a_kill_everything_before_it_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    with Program([sys.executable, "-c", PROGRAM], WS4PY_NG_CAPTURE=str(path)) as program:
        talk(int(program.line()), deflate=False)
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
    recording = read(path)
    assert [] == recording.problems
    assert LARGE in recording.connection().outgoing()
    assert "server" == recording.connection().role


def test_two_programs_do_not_write_into_one_file(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    command = [sys.executable, "-c", PROGRAM.replace("serve_forever()", "start()\n    sys.stdin.read()")]
    with Program(command, WS4PY_NG_CAPTURE=str(path)) as one, Program(command, WS4PY_NG_CAPTURE=str(path)) as other:
        ports = [int(each.line()) for each in (one, other)]
        talks = [socket.create_connection(("127.0.0.1", port)) for port in ports]
        for talk_ in talks:  # both have their files open at the same time
            talk_.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert talk_.recv(100)
        for talk_ in talks:
            talk_.close()
    names = sorted(each.name for each in tmp_path.iterdir())
    assert 2 == len(names), names
    assert all([] == read(tmp_path / name).problems for name in names)


def test_a_disk_that_is_full_ends_the_capture_not_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write, calls = writing._write, []

    def full(fd: int, data: list[bytes]) -> int:
        calls.append(fd)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(writing, "_write", full)
    with caplog.at_level(logging.ERROR, logger="ws4py_ng"):
        with_threads(tmp_path / "trace.wscap")
    monkeypatch.undo()
    assert ["No space left" in record.getMessage() for record in caplog.records] == [True]
    assert b"GET /room" in read(tmp_path / "trace.wscap").connection().incoming()


def test_a_chunk_of_any_size_is_one_chunk_again(tmp_path: Path) -> None:
    data = bytes(80 * 1024 * 1024)
    capture = Capture(tmp_path / "trace.wscap", max_size=1 << 30)
    tap = open_tap(capture, "server", "test")
    tap.received(b"GET / HTTP/1.1\r\n\r\n")
    tap.sent(b"HTTP/1.1 101 x\r\n\r\n")
    tap.sent(data)
    tap.close()
    assert data == read(tmp_path / "trace.wscap").connection().chunks[2].data


def test_a_file_for_each_connection_is_not_remembered_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_MAX_FILES", 0)
    monkeypatch.setattr(writing, "_files", {})
    for number in range(3):
        tap = open_tap(Capture(tmp_path / f"{number}.wscap"), "server", "test")
        tap.received(b"GET / HTTP/1.1\r\n\r\n")
        tap.close()
    assert {} == writing._files
    assert 3 == len(list(tmp_path.iterdir()))


def test_secrets_are_redacted_unless_asked_otherwise(tmp_path: Path) -> None:
    def with_secrets(port: int) -> None:
        talk(port, headers={"Authorization": "Bearer abc", "X-Key": "hush"})

    with_threads(Capture(tmp_path / "safe.wscap", redact=["X-Key", "token"]), with_secrets)
    with_threads(Capture(tmp_path / "all.wscap", keep_secrets=True), with_secrets)
    safe, everything = (read(tmp_path / name).connection().incoming() for name in ("safe.wscap", "all.wscap"))
    assert b"Authorization: **********" in safe
    assert b"X-Key: ****\r\n" in safe
    assert b"token=******&x=1" in safe
    assert b"Bearer abc" in everything
    assert b"hush" in everything


@pytest.mark.parametrize("target", ["/a?token=hush#f", "/a?x=1;token=hush#f"])
def test_an_answer_that_quotes_what_was_secret_does_not_tell_it(target: str, tmp_path: Path) -> None:
    def ask(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert b"hush" in b"".join(iter(lambda: sock.recv(1000), b""))

    with_threads(Capture(tmp_path / "trace.wscap", redact=["token"]), ask)
    assert read(tmp_path / "trace.wscap").connection().outgoing().startswith(b"HTTP/1.1 400 ")
    assert b"hush" not in (tmp_path / "trace.wscap").read_bytes()


def test_an_error_that_quotes_what_was_secret_does_not_tell_it(tmp_path: Path) -> None:
    tap = open_tap(Capture(tmp_path / "trace.wscap"), "server", "test")
    tap.received(b"GET / HTTP/1.1\r\nCookie: hush\r\n\r\n")
    tap.failed(HandshakeError("'hush' is no token"))
    tap.close()
    assert ["HandshakeError"] == [chunk.error for chunk in read(tmp_path / "trace.wscap").connection().chunks[1:2]]


@pytest.mark.parametrize("wrong", [True, 1, b"path"])
def test_what_says_nothing_of_where_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="expected a path, a directory, a function or a Capture"):
        with_threads(wrong)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_size": 10}, "max_size is 10, expected 65536"),
        ({"max_size": "1"}, "max_size is '1', expected 65536"),
        ({"redact": "cookie"}, "redact is 'cookie', expected a list of names"),
        ({"redact": 5}, "redact is 5, expected a list of names"),
        ({"redact": [5]}, r"redact is \[5\], expected a list of names"),
        *(
            ({"target": target}, "the target of a capture is .*, expected a path, a directory or a function")
            for target in (5, None, True, "", b"x.wscap", "x\0.wscap", "\ud800.wscap")
        ),
    ],
)
def test_what_is_wrong_is_said_where_a_capture_is_made(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Capture(**{"target": "x.wscap", **options})


@pytest.mark.parametrize("path", ["", 5, "x\0.wscap", "\ud800.wscap", b"x.wscap"])
def test_a_path_that_a_function_gets_wrong_is_logged_and_harms_nobody(
    path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with_threads(lambda asked: path)
    assert ["A connection is not captured"] == [record.getMessage() for record in caplog.records]


def test_the_environment_says_nothing_by_an_empty_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS4PY_NG_CAPTURE", "")
    assert settings_of(None) is None
    with pytest.raises(ValueError, match="the target of a capture is ''"):
        settings_of("")


@pytest.mark.parametrize("target", ["file/x.wscap", "file/new/", "file"])
def test_a_place_that_cannot_be_used_is_named_as_it_was_given(
    target: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"important")
    capture = Capture(f"{tmp_path}/{target}")
    with pytest.raises(OSError, match=re.escape(f"{tmp_path}/{target}'".replace("/'", "'"))):
        capture.check()
    record_one(capture)
    (said,) = caplog.records
    assert f"{tmp_path}/{target}" in said.getMessage()
    assert [tmp_path / "file"] == list(tmp_path.iterdir())
