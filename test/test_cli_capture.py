"""`ws4py-ng capture`, `inspect` and `replay` as their users run them."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from test.capture.recorded import Talker, with_threads
from test.chunking import TEXT, Piece
from test.client.peers import RawServer, request
from test.many import eventually
from test.programs import WAIT, WS4PY_NG, Program, run
from test.recordings.make import HERE
from ws4py_ng.capture import Capture, read, replay
from ws4py_ng.capture.settings import open_tap
from ws4py_ng.capture.writing import PARTS
from ws4py_ng.cli.growing import Growing
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket

FRAGMENTS = str(HERE / "fragments.wscap.gz")


@contextmanager
def nobody() -> Iterator[str]:
    """Give the URL of a port that refuses, as nobody listens there, nor can meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"ws://127.0.0.1:{bound.getsockname()[1]}/"


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
        (["--opcode", "9", "--opcode", "PONG"], 4),
        (["--opcode", "3"], 0),
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


class Writer:
    """Write a capture, text by text."""

    def __init__(self, path: Path, max_size: int) -> None:
        self._tap = open_tap(Capture(path, max_size=max_size), "server", "test")
        self._tap.received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self._tap.sent(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    def write(self, text: str) -> None:
        self._tap.sent(Piece(TEXT, text.encode()).to_bytes(masked=False))

    def close(self) -> None:
        self._tap.close()


@pytest.mark.parametrize("name", ["trace.wscap", "trace.wscap.gz"])
def test_inspect_follows_from_part_to_part(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    texts = [f"{number:04} {random.Random(number).randbytes(600).hex()}" for number in range(200)]
    follow = [*WS4PY_NG, "inspect", "--follow", "--messages", "--json", str(path)]
    with closing(Writer(path, max_size=64 * 1024)) as writer, Program(follow) as program:
        for number, text in enumerate(texts):
            writer.write(text)
            if number == 0:
                assert "connection" == json.loads(program.line())["row"]
            if number % 10 == 9:
                assert texts[number - 9 : number + 1] == [json.loads(program.line())["data"] for _ in range(10)]
        program.send_signal()
        assert 130 == program.status()
    assert PARTS == len(list(tmp_path.iterdir()))  # and more than twice as many were there


def test_who_follows_too_slowly_goes_on_with_the_oldest_part(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    with closing(Writer(path, max_size=64 * 1024)) as writer, closing(Growing(str(path))) as growing:
        for number in range(200):
            writer.write(f"{number} {'x' * 1000}")
        while growing.read():
            pass
        frames = [chunk.data for chunk in growing.recording.connections[0].chunks[2:]]
        kept = sum(len(read(each).connection().chunks) for each in tmp_path.iterdir())
    numbers = [int(frame[4:].split()[0]) for frame in frames]
    assert list(range(200 - kept, 200)) == numbers[-kept:]
    assert sorted(numbers) == numbers
    assert [] == growing.recording.problems


def test_inspect_says_what_is_no_capture(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    for path, what in ((tmp_path / "x", "is no capture, pcap, HAR or flows"), (tmp_path / "y", "cannot read")):
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


class Pages(BaseHTTPRequestHandler):
    """Set a cookie by each page, and keep the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Set-Cookie", "sid=hush")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None: ...


def test_the_proxy_records_no_secret_of_a_connection_that_is_kept_alive(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        command = [*WS4PY_NG, "capture", f"ws://127.0.0.1:{server.server_port}/", "--output", str(path)]
        with Program(command) as proxy:
            client = HTTPConnection(proxy.line().removeprefix("listening on ws://").strip("/"))
            for number in range(3):
                client.request("GET", f"/page{number}", headers={"Cookie": "a=hush", "Authorization": "Bearer hush"})
                assert b"ok" == client.getresponse().read()
            client.close()
            proxy.send_signal()
            assert (0, []) == (proxy.status(), proxy.errors())
        server.shutdown()
        thread.join()
    assert b"GET /page0" in read(path).connection().incoming()
    assert b"hush" not in path.read_bytes()


@pytest.mark.parametrize("output", ["", "notes.txt", "notes.txt/x.wscap", "notes.txt/"])
def test_the_proxy_says_at_once_where_it_cannot_record(output: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"important")
    target = f"{tmp_path}/{output}" if output else ""
    done = run([*WS4PY_NG, "capture", "ws://127.0.0.1:1/", "--output", target])
    assert (1, b"") == (done.returncode, done.stdout)
    assert (target.rstrip("/") or "is '', expected a path") in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["serve"], ["connect", "ws://127.0.0.1:1/"]])
def test_an_empty_name_for_a_capture_is_refused(command: list[str]) -> None:
    done = run([*WS4PY_NG, *command, "--capture", ""])
    assert 2 == done.returncode
    assert b"is '', expected a path" in done.stderr


def test_the_proxy_answers_for_a_server_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "trace.wscap"
    with nobody() as url, Program([*WS4PY_NG, "capture", url, "--output", str(path)]) as proxy:
        port = port_from(proxy)
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as client, client.makefile("rb") as answer:
            client.sendall(request())
            said = answer.read()
        proxy.send_signal()
        assert 0 == proxy.status()
        assert "connection refused; is the server running" in proxy.errors()[0]
    assert said.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"connection refused; is the server running" in said
    assert said == read(path).connection().outgoing()


def port_from(proxy: Program) -> int:
    """Read the port that the proxy prints."""
    return int(proxy.line().split(":")[-1].rstrip("/"))


def answered(port: int, host: str = "127.0.0.1") -> bytes:
    with socket.create_connection((host, port), timeout=WAIT) as client, client.makefile("rb") as answer:
        client.sendall(request())
        return answer.readline()


def test_the_proxy_goes_on_when_it_has_no_descriptor_left_for_a_while(tmp_path: Path) -> None:
    with nobody() as url:
        command = [*WS4PY_NG, "capture", url, "--output", str(tmp_path / "trace.wscap")]
        with Program(["sh", "-c", 'ulimit -n 24 && exec "$@"', "sh", *command]) as proxy:
            port = port_from(proxy)
            with ExitStack() as many:
                for _ in range(24):
                    many.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT))
                assert eventually(lambda: proxy.has_complained("Cannot accept connections for now: "))
            assert b"HTTP/1.1 502 Bad Gateway\r\n" == answered(port)
            proxy.send_signal()
            assert 0 == proxy.status()


@pytest.mark.skipif(not socket.has_ipv6, reason="Python was built without IPv6")
def test_the_proxy_listens_on_an_address_of_ipv6(tmp_path: Path) -> None:
    command = ["capture", "ws://127.0.0.1:1/", "--host", "::1", "--output", str(tmp_path / "trace.wscap")]
    with Program([*WS4PY_NG, *command]) as proxy:
        found = re.fullmatch(r"listening on ws://\[::1\]:(\d+)/", proxy.line())
        assert found
        assert b"HTTP/1.1 502 Bad Gateway\r\n" == answered(int(found[1]), "::1")


def test_the_proxy_ends_by_sigterm_as_by_ctrl_c(tmp_path: Path) -> None:
    trace = tmp_path / "trace.wscap"
    with Program([*WS4PY_NG, "capture", "ws://127.0.0.1:1/", "--output", str(trace)]) as proxy:
        port = port_from(proxy)
        assert b"HTTP/1.1 502 Bad Gateway\r\n" == answered(port)
        proxy.send_signal(signal.SIGTERM)
        assert 0 == proxy.status()
    assert 1 == len(read(trace).connections)


def test_the_proxy_passes_over_who_has_left_before_it_was_accepted(tmp_path: Path) -> None:
    with nobody() as url, Program([*WS4PY_NG, "capture", url, "--output", str(tmp_path / "trace.wscap")]) as proxy:
        port = port_from(proxy)
        proxy.send_signal(signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        proxy.send_signal(signal.SIGCONT)
        assert b"HTTP/1.1 502 Bad Gateway\r\n" == answered(port)
        proxy.send_signal()
        assert 0 == proxy.status()
        assert not any("Traceback" in line for line in proxy.errors())


def test_serve_and_connect_record(tmp_path: Path) -> None:
    server, client = tmp_path / "server.wscap", tmp_path / "client.wscap"
    serving = [*WS4PY_NG, "serve", "--port", "0", "--capture", str(server), "--redact", "token"]
    with Program(serving) as program:
        url = program.line().removeprefix("listening on ") + "?token=hush"
        secret = ["--header", "Authorization: Bearer abc", "--keep-secrets"]
        done = run([*WS4PY_NG, "connect", url, "--capture", str(client), *secret], b"hello\n")
        assert (0, b"hello\n", b"") == (done.returncode, done.stdout, done.stderr)
        program.send_signal()
        assert (0, []) == (program.status(), program.errors())
    seen = read(server).connection().incoming()
    assert b"GET /?token=**** HTTP/1.1\r\n" in seen
    assert b"Bearer" not in seen
    assert b"Authorization: Bearer abc\r\n" in read(client).connection().outgoing()
    assert ["hello"] == replay(server, EchoWebSocket, splits="random").check().messages


def test_every_worker_records(tmp_path: Path) -> None:
    with Program([*WS4PY_NG, "serve", "--port", "0", "--workers", "2", "--capture", f"{tmp_path}/"]) as program:
        url = program.line().removeprefix("listening on ")
        for _ in range(3):
            assert 0 == run([*WS4PY_NG, "connect", url], b"hello\n").returncode
        program.send_signal()
        assert 0 == program.status()
    traces = list(tmp_path.iterdir())
    assert 3 == len(traces)
    assert all(["hello"] == replay(trace, EchoWebSocket).check().messages for trace in traces)


@pytest.mark.parametrize("option", [["--redact", "x"], ["--keep-secrets"]])
@pytest.mark.parametrize("command", [["serve"], ["connect", "ws://127.0.0.1:1/"]])
def test_what_is_said_of_secrets_needs_a_capture(command: list[str], option: list[str]) -> None:
    done = run([*WS4PY_NG, *command, *option])
    assert 2 == done.returncode
    assert f"{option[0]} goes with --capture" in done.stderr.decode()


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


@pytest.mark.parametrize(
    ("scheme", "message"),
    [("ws", "connection refused; is the server running"), ("wss", "does not speak TLS: try ws:// in place of wss://")],
)
def test_replay_explains_why_there_is_no_connection(scheme: str, message: str) -> None:
    with serve(EchoWebSocket, "127.0.0.1", 0) as server, nobody() as url:
        server.start()
        url = url if scheme == "ws" else f"wss://127.0.0.1:{server.port}/"
        done = run([*WS4PY_NG, "replay", FRAGMENTS, "--to", url])
    assert (1, b"", 1) == (done.returncode, done.stdout, done.stderr.count(b"\n"))
    assert message in done.stderr.decode()


def test_replay_explains_who_hangs_up() -> None:
    with RawServer(lambda peer: None) as server:
        done = run([*WS4PY_NG, "replay", FRAGMENTS, "--to", server.url])
    assert (1, b"", 1) == (done.returncode, done.stdout, done.stderr.count(b"\n"))


@pytest.mark.parametrize("how", [("--to", "ws://127.0.0.1:1/"), ("--listen", "0")])
@pytest.mark.parametrize("splits", ["whole", "every"])
def test_splits_that_cannot_be_played_live_are_refused_at_once(how: tuple[str, str], splits: str) -> None:
    done = run([*WS4PY_NG, "replay", FRAGMENTS, *how, "--splits", splits])
    assert (2, b"") == (done.returncode, done.stdout)
    assert f"--splits {splits} goes with --app, expected one of recorded, bytes, random" in done.stderr.decode()


def test_replay_talks_to_a_client(tmp_path: Path) -> None:
    with_threads(tmp_path / "trace.wscap")
    with Program([*WS4PY_NG, "replay", str(tmp_path / "trace.wscap"), "--listen", "0"]) as program:
        client = Talker(program.line().removeprefix("listening on "))
        client.connect()
        client.run_forever()
        assert ("5 frames came as recorded", "as recorded") == (program.line(), program.line())
        assert 0 == program.status()
