"""`ws4py-ng capture`, `inspect` and `replay` as their users run them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from test.capture.recorded import Talker, with_threads
from test.programs import WS4PY_NG, Program, run
from test.recordings.make import HERE
from ws4py_ng.capture import read, replay
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket

FRAGMENTS = str(HERE / "fragments.wscap.gz")


def inspected(*arguments: str) -> list[str]:
    done = run([*WS4PY_NG, "inspect", *arguments])
    assert (0, b"") == (done.returncode, done.stderr)
    return done.stdout.decode().splitlines()


def test_inspect_shows_a_table_and_a_summary() -> None:
    lines = inspected(FRAGMENTS)
    assert "connection 0: seen by the server, threads, GET /chat?room=1, 101 Switching Protocols" == lines[0]
    assert re.fullmatch(r" +0\.\d{6}  client →  text +9  in pieces", lines[1])
    assert any(re.search(r"client →  pong +7  between  \d+\.\d{3} ms", line) for line in lines)
    assert "  closed by the client: 1000 (normal closure)" in lines


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--from", "client"], 5),
        (["--opcode", "ping", "--opcode", "pong"], 4),
        (["--min-size", "9"], 1),
        (["--text", "^in"], 2),
        (["--messages", "--from", "server"], 2),
        (["--connection", "1"], 0),
    ],
)
def test_inspect_filters(filters: list[str], count: int) -> None:
    rows = [json.loads(line) for line in inspected(FRAGMENTS, "--json", *filters)]
    assert count == sum(row["row"] in ("frame", "message") for row in rows)


def test_inspect_dumps_in_hex() -> None:
    assert "00000000  81 09 69 6e" not in inspected(FRAGMENTS)
    assert any(line.endswith("|..between|") for line in inspected(FRAGMENTS, "--hex", "--from", "server"))


def test_inspect_follows_a_file_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    with_threads(path)
    with Program([*WS4PY_NG, "inspect", "--follow", "--messages", str(path)]) as program:
        assert program.line().startswith("connection 0: seen by the server")
        assert program.line().endswith("hello")
        data = path.read_bytes()
        with path.open("ab") as file:
            file.write(data)  # a second section, of another run
        while not program.line().startswith("connection 1: "):
            pass
        program.send_signal()
        assert 130 == program.status()


def test_inspect_says_what_is_no_capture(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    for path, what in ((tmp_path / "x", "is no capture, pcap or HAR"), (tmp_path / "y", "cannot read")):
        done = run([*WS4PY_NG, "inspect", str(path)])
        assert 1 == done.returncode
        assert what in done.stderr.decode()


def test_inspect_reads_what_can_be_read_and_says_the_rest(tmp_path: Path) -> None:
    with_threads(tmp_path / "whole.wscap")
    (tmp_path / "cut.wscap").write_bytes((tmp_path / "whole.wscap").read_bytes()[:-9])
    done = run([*WS4PY_NG, "inspect", str(tmp_path / "cut.wscap")])
    assert 0 == done.returncode
    assert b"hello" in done.stdout
    assert re.search(r"cut\.wscap, at byte \d+: the file ends within a block", done.stderr.decode())


def test_the_proxy_records_what_replays(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    with serve(EchoWebSocket, "127.0.0.1", 0) as server:
        server.start()
        command = [*WS4PY_NG, "capture", f"ws://127.0.0.1:{server.port}/there", "--output", str(path)]
        with Program(command) as proxy:
            found = re.fullmatch(r"listening on (ws://\S+)", proxy.line())
            assert found
            client = Talker(found[1], headers={"Authorization": "Bearer abc", "Origin": found[1].replace("ws", "http")})
            client.connect()
            client.run_forever()
            assert client.answers == 3
            proxy.send_signal()
            assert (0, []) == (proxy.status(), proxy.errors())
    connection = read(path).connection()
    assert b"Bearer" not in connection.incoming()
    assert "proxy" == connection.about["transport"]
    replay(path, EchoWebSocket, splits="random").check()


@pytest.mark.parametrize("splits", ["recorded", "every"])
def test_replay_drives_a_class(splits: str) -> None:
    recording = str(HERE / "close_by_browser.wscap.gz")
    done = run([*WS4PY_NG, "replay", recording, "--app", "echo", "--splits", splits])
    assert (0, b"") == (done.returncode, done.stderr)
    assert "as recorded" == done.stdout.decode().splitlines()[-1]


def test_replay_shows_a_difference_and_fails() -> None:
    done = run([*WS4PY_NG, "replay", FRAGMENTS, "--app", "echo"])
    assert 1 == done.returncode
    assert b"What was sent differs from the recording at byte 0" in done.stdout


def test_replay_talks_to_a_server() -> None:
    with serve(EchoWebSocket, "127.0.0.1", 0, deflate=None) as server:
        server.start()
        done = run([*WS4PY_NG, "replay", str(HERE / "text.wscap.gz"), "--to", f"ws://127.0.0.1:{server.port}/"])
    assert (0, b"10 frames came as recorded\nas recorded\n") == (done.returncode, done.stdout)


def test_replay_talks_to_a_client(tmp_path: Path) -> None:
    with_threads(tmp_path / "trace.wscap")
    with Program([*WS4PY_NG, "replay", str(tmp_path / "trace.wscap"), "--listen", "0"]) as program:
        client = Talker(program.line().removeprefix("listening on "))
        client.connect()
        client.run_forever()
        assert ("5 frames came as recorded", "as recorded") == (program.line(), program.line())
        assert 0 == program.status()
