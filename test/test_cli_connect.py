"""`ws4py-ng connect` as a process of its own: in a pipeline, at a terminal, and when it cannot connect."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_by_websockets

from test.client.peers import (
    Peer,
    RawServer,
    certificates,
    close_frame,
    echo_spy,
    frame,
    get,
    running,
    server_context,
    spy,
    upgrading,
    url_of,
)
from test.programs import PROMPT, WAIT, WS4PY_NG, Program, environment, run, screen
from test.recordings.make import HERE
from ws4py_ng.cli.console import printable
from ws4py_ng.cli.explain import explain
from ws4py_ng.cli.pipeline import read_lines
from ws4py_ng.handshake import Headers, Request, Response
from ws4py_ng.uri import parse_uri
from ws4py_ng.websocket import EchoWebSocket

CONNECT = (*WS4PY_NG, "connect")
URL = parse_uri("wss://example.org:9000/")


def closing_with(code: int, reason: str = "") -> Any:
    """Make a class for a server that closes at the first message."""

    def received_message(self: Any, message: Any) -> None:
        self.close(code, reason)

    return spy(received_message=received_message)


# In a pipeline


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"", b""),
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"no end of line", b"no end of line\n"),
        (b"\n\n", b"\n\n"),
        (b"from\r\nelsewhere\r\n", b"from\nelsewhere\n"),
        ("Grüße, 你好 🎈\n".encode(), "Grüße, 你好 🎈\n".encode()),
        (b"\x1b[31mraw\x00\n", b"\x1b[31mraw\x00\n"),
    ],
)
def test_lines_go_out_and_messages_come_in(given: bytes, expected: bytes) -> None:
    with running(EchoWebSocket) as server:
        done = run([*CONNECT, url_of(server)], given, LC_ALL="C")
    assert (0, expected, b"") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("more", [(), ("--no-deflate",)])
def test_nothing_is_lost_of_many_lines(more: tuple[str, ...]) -> None:
    given = b"".join(b"line %d\n" % n for n in range(20_000))
    with running(EchoWebSocket) as server:
        done = run([*CONNECT, *more, url_of(server)], given)
    assert (0, given, b"") == (done.returncode, done.stdout, done.stderr)


def test_answers_are_awaited_that_come_behind_the_pong() -> None:
    def answer(connection: ServerConnection) -> None:
        for message in connection:  # its pongs come from another thread, at once
            threading.Event().wait(0.02)
            connection.send(f"late: {message!r}")

    with serve_by_websockets(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        done = run([*CONNECT, f"ws://127.0.0.1:{port}/"], b"1\n2\n3\n")
        server.shutdown()
    assert (0, b"late: '1'\nlate: '2'\nlate: '3'\n") == (done.returncode, done.stdout)


def test_binary_messages_go_out_and_are_shown_in_hex() -> None:
    with running(EchoWebSocket) as server:
        done = run([*CONNECT, "--binary", url_of(server)], b"\xff\x00a\n")
    assert (0, b"ff0061\n") == (done.returncode, done.stdout)


def test_each_message_is_printed_as_it_comes() -> None:
    with running(EchoWebSocket) as server, Program([*CONNECT, url_of(server)]) as program:
        for word in ("one", "two"):
            program.write(f"{word}\n".encode())
            assert word == program.line()
        program.close_input()
        assert 0 == program.status()


@pytest.mark.parametrize(
    ("code", "reason", "status", "errors"),
    [
        (1000, "", 0, []),
        (1001, "bye", 0, []),
        (1005, "", 0, []),
        (1011, "oh", 3, ["closed: 1011 (internal error): oh"]),
        (4000, "", 3, ["closed: 4000 (application)"]),
        (3000, "a\x1bb", 3, ["closed: 3000 (library): a\\x1bb"]),
    ],
)
def test_the_exit_status_tells_how_the_server_closed(code: int, reason: str, status: int, errors: list[str]) -> None:
    with running(closing_with(code, reason)) as server, Program([*CONNECT, url_of(server)]) as program:
        program.write(b"close\n")
        # Its input is still open: it ends because the server has closed.
        assert status == program.status()
        assert errors == program.errors()


def test_a_connection_that_breaks_off_is_abnormal() -> None:
    with RawServer(upgrading(lambda peer: peer.sock.close())) as server:
        done = run([*CONNECT, server.url], b"")
    assert 3 == done.returncode
    assert b"closed: 1006 (abnormal closure): the connection broke off\n" in done.stderr


def test_input_that_could_not_be_sent_is_told() -> None:
    with running(closing_with(1000)) as server:
        done = run([*CONNECT, url_of(server)], b"x" * 100 + b"\n" * 1_000_000)
    assert 3 == done.returncode
    closed, unsent = done.stderr.decode().splitlines()
    assert "closed: 1000 (normal closure)" == closed
    assert re.fullmatch(r"ws4py-ng: closed before line \d+ of standard input was sent", unsent)


def test_input_that_is_no_text_is_told() -> None:
    with running(EchoWebSocket) as server:
        done = run([*CONNECT, url_of(server)], b"good\nb\xffd\nnever sent\n")
    assert (3, b"good\n") == (done.returncode, done.stdout)
    assert b"ws4py-ng: line 2 of standard input is not UTF-8 text: send it by --binary\n" in done.stderr


def test_a_message_that_is_too_big_is_told() -> None:
    with running(EchoWebSocket) as server:
        done = run([*CONNECT, "--max-message-size", "5", url_of(server)], b"123456\n")
    assert (3, b"") == (done.returncode, done.stdout)
    assert b"closed: 1009 (message too big)" in done.stderr


def test_ctrl_c_closes_in_a_pipeline_too() -> None:
    handler = echo_spy()
    with running(handler) as server, Program([*CONNECT, url_of(server)]) as program:
        program.write(b"hello\n")
        assert "hello" == program.line()
        program.send_signal()
        assert 1000 == get(handler.endings).code
        assert (0, []) == (program.status(), program.errors())


def test_nobody_reading_is_no_trouble() -> None:
    handler = echo_spy()
    read, write = os.pipe()
    os.close(read)
    with running(handler) as server:
        command = [*CONNECT, url_of(server)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": write, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=environment(), **pipes) as process:
            os.close(write)
            assert process.stdin is not None
            process.stdin.write(b"hello\nhello\n")
            process.stdin.flush()
            # It leaves at the first message that it cannot print, although the input goes on.
            assert 0 == process.wait(WAIT)
            assert process.stderr is not None
            assert b"" == process.stderr.read()
    assert 1000 == get(handler.endings).code


def test_a_full_disk_is_told() -> None:
    with running(EchoWebSocket) as server, Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*CONNECT, url_of(server)],
            input=b"hello\n",
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=WAIT,
            check=False,
        )
    assert 3 == done.returncode
    assert b"ws4py-ng: cannot write to standard output: No space left on device\n" in done.stderr


def test_verbose_tells_what_was_agreed() -> None:
    with running(EchoWebSocket, protocols=["b"]) as server:
        options = ("--verbose", "--no-deflate", "--protocol", "a", "--protocol", "b")
        done = run([*CONNECT, *options, f"ws://user:secret@127.0.0.1:{server.port}/x"], b"")
        lines = done.stderr.decode().splitlines()
        assert f"connected to ws://127.0.0.1:{server.port}/x (subprotocol b)" == lines[0]
    assert "closed: 1000 (normal closure)" == lines[-1]
    assert "secret" not in done.stderr.decode()


def test_headers_are_sent() -> None:
    seen: list[Request] = []
    with running(EchoWebSocket, process_request=lambda request: seen.append(request)) as server:
        run([*CONNECT, "--header", "X-One: 1", "--header", "User-Agent:me", url_of(server)])
    assert ["1"] == seen[0].headers.get_all("X-One")
    assert ["me"] == seen[0].headers.get_all("User-Agent")


def test_lines_are_cut_however_they_come() -> None:
    chunks = iter([b"a", b"b\r", b"\nc\n\n", b"d\re", b"", b"never read"])
    assert [b"ab", b"c", b"", b"d\re"] == list(read_lines(lambda: next(chunks)))


# At a terminal


def test_a_terminal_shows_messages_behind_a_mark_and_ctrl_d_closes() -> None:
    handler = echo_spy()
    with running(handler) as server, screen("connect", url_of(server)) as terminal:
        terminal.expect(f"connected to {url_of(server)} (permessage-deflate")
        terminal.expect("Ctrl-D closes")
        terminal.expect(PROMPT)
        for word in ("hello", "Grüße"):
            terminal.type(f"{word}\r")
            terminal.expect(f"< {word}\r\n")
            terminal.expect(PROMPT)
        terminal.type("\x04")
        terminal.expect("closed: 1000 (normal closure)")
        assert 0 == terminal.status()
    assert 1000 == get(handler.endings).code


def test_a_terminal_closes_by_ctrl_c() -> None:
    handler = echo_spy()
    with running(handler) as server, screen("connect", url_of(server)) as terminal:
        terminal.expect(PROMPT)
        terminal.type("half a li\x03")
        terminal.expect("closed: 1000 (normal closure)")
        assert 0 == terminal.status()
    assert 1000 == get(handler.endings).code


@pytest.mark.parametrize(("code", "status"), [(1001, 0), (4001, 3)])
def test_a_terminal_is_left_when_the_server_closes(code: int, status: int) -> None:
    handler = spy()
    with running(handler) as server, screen("connect", url_of(server)) as terminal:
        terminal.expect(PROMPT)
        terminal.type("half a line")
        terminal.expect("half a line")
        get(handler.seen).close(code, "enough")
        terminal.expect(f"closed: {code} (")
        terminal.expect("): enough")
        assert status == terminal.status()


def test_a_terminal_is_left_when_the_server_closes_in_answer() -> None:
    # The Close may come while the next prompt is being printed: no key must be needed.
    with running(closing_with(1000, "bye")) as server, screen("connect", url_of(server)) as terminal:
        terminal.expect(PROMPT)
        terminal.type("quit\r")
        terminal.expect("closed: 1000 (normal closure): bye")
        assert 0 == terminal.status()


def test_a_message_appears_above_what_is_being_typed() -> None:
    handler = spy()
    with running(handler) as server, screen("connect", url_of(server)) as terminal:
        terminal.expect(PROMPT)
        terminal.type("half")
        terminal.expect("half")
        get(handler.seen).send("news")
        terminal.expect("\r\x1b[J< news\r\n> half")
        terminal.type(" a line\r")
        assert "half a line" == get(handler.messages)
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert 0 == terminal.status()


def test_a_terminal_is_not_commanded_by_the_peer() -> None:
    handler = spy()
    with running(handler) as server, screen("connect", url_of(server)) as terminal:
        terminal.expect(PROMPT)
        member = get(handler.seen)
        member.send("\x1b[2Jclear\x07")
        terminal.expect("< \\x1b[2Jclear\\x07\r\n")
        member.send("two\nlines")
        terminal.expect("< two\r\n  lines\r\n")
        member.send(b"\x00\xff", binary=True)
        terminal.expect("< binary, 2 bytes: 00 ff\r\n")
        member.send(b"x" * 100, binary=True)
        terminal.expect("< binary, 100 bytes: 78 78")
        terminal.expect(" ...\r\n")


def test_a_terminal_sends_binary_on_demand() -> None:
    handler = spy()
    with running(handler) as server, screen("connect", "--binary", url_of(server)) as terminal:
        terminal.expect(PROMPT)
        terminal.type("bytes\r")
        assert b"bytes" == get(handler.messages)


def test_a_terminal_without_ansi_gets_none() -> None:
    handler = spy()
    with running(handler) as server, screen("connect", url_of(server), TERM="dumb") as terminal:
        terminal.expect(PROMPT)
        get(handler.seen).send("news")
        terminal.expect("\r\n< news\r\n> ")
        assert "\x1b[" not in terminal.seen


def test_a_second_ctrl_c_does_not_wait_for_the_server() -> None:
    asked = threading.Event()
    leave = threading.Event()

    def silent(peer: Peer) -> None:
        while peer.take_frame()[0] != 8:
            pass
        asked.set()
        leave.wait(WAIT)

    with RawServer(upgrading(silent)) as server, screen("connect", server.url) as terminal:
        terminal.expect(PROMPT)
        terminal.type("\x03")
        assert asked.wait(WAIT)
        terminal.process.send_signal(signal.SIGINT)
        assert 130 == terminal.status()
        leave.set()


def test_what_commands_a_terminal_is_made_visible() -> None:
    assert "\\x1b[0m \\x07 \\x9b \\u202e é\t\n🎈" == printable("\x1b[0m \x07 \x9b \u202e é\t\n🎈")


# No connection


def failure(*arguments: str) -> str:
    """Run `connect`, which must fail by one line; return it."""
    done = run([*CONNECT, *arguments], b"never sent\n")
    assert (1, b"") == (done.returncode, done.stdout), done
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("ws4py-ng: ")
    return line.removeprefix("ws4py-ng: ")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("example.org", "bad URL: 'example.org' has no scheme, expected ws://host[:port]/path"),
        ("http://localhost/", "bad URL: 'http://localhost/' has the scheme of a web page, expected ws://"),
        ("ws://u:secret@[::1/", "bad URL: 'ws://u:***@[::1/' has a bad IPv6 address"),
        ("ws://no-such-host.invalid/", "cannot find the host 'no-such-host.invalid': "),
        ("ws+unix:///no/such.socket", "cannot connect to /no/such.socket: No such file or directory"),
    ],
)
def test_a_bad_url_is_one_line(url: str, message: str) -> None:
    assert message in failure(url)


def test_nobody_there_is_one_line() -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        line = failure(f"ws://127.0.0.1:{port}/")
    assert (
        f"cannot connect to 127.0.0.1:{port}: connection refused; is the server running, and is that its port?" == line
    )


def refusing(status: int, body: str = "", kind: str = "text/plain", **headers: str) -> Callable[[Request], Response]:
    """Make a server's process_request that refuses."""
    pairs = [("Content-Type", kind), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return lambda request: Response(status, Headers(pairs), body=body.encode())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (refusing(403), "refused the WebSocket: HTTP 403 Forbidden; it may want a --header: 'Origin: ...'"),
        (refusing(401), "HTTP 401 Unauthorized; send --header 'Authorization: ...'"),
        (refusing(404, "no\nsuch \x1broom"), "HTTP 404 Not Found (no such \\x1broom); check the path of the URL"),
        (refusing(404, "<html>", "text/html"), "HTTP 404 Not Found; check"),
        (refusing(302, Location="ws://other/"), "HTTP 302 Found, redirected to 'ws://other/'"),
        (refusing(503, "later"), "HTTP 503 Service Unavailable (later)"),
    ],
)
def test_a_refusal_is_one_line(answer: Callable[[Request], Response], message: str) -> None:
    with running(EchoWebSocket, process_request=answer) as server:
        assert message in failure(url_of(server))


def test_a_foreign_origin_is_told_why() -> None:
    with running(EchoWebSocket) as server:
        line = failure("--header", "Origin: https://example.org", url_of(server))
    assert "HTTP 403 Forbidden (Origin is 'https://example.org', expected that of" in line


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", ": the peer closed without sending anything, expected a response"),
        (b"220 mail.example.org ESMTP\r\n", "not an HTTP answer, it begins with b'220 mail.example.org"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "refused the WebSocket: HTTP 200 OK"),
    ],
)
def test_a_server_of_another_kind_is_one_line(answer: bytes, message: str) -> None:
    def script(peer: Peer) -> None:
        peer.take_head()
        peer.send(answer)

    with RawServer(script) as server:
        assert message in failure(server.url)


def test_plain_and_tls_mixed_up_are_told() -> None:
    with running(EchoWebSocket) as plain:
        line = failure(f"wss://localhost:{plain.port}/")
        assert f"localhost:{plain.port} does not speak TLS: try ws:// in place of wss://" == line


def test_a_certificate_that_is_not_trusted_names_the_ways_out() -> None:
    with running(EchoWebSocket, ssl_context=server_context()) as server:
        line = failure(url_of(server))
        assert f"the certificate of localhost:{server.port} is not trusted (" in line
    assert "give its authority by --ca-file FILE, or trust whoever answers by --insecure" in line


def test_tls_connects_by_either_way_out(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    certificates().authority.cert_pem.write_to_path(authority)
    with running(EchoWebSocket, ssl_context=server_context()) as server:
        for options in (("--ca-file", str(authority)), ("--insecure",)):
            done = run([*CONNECT, *options, url_of(server)], b"secret\n")
            assert (0, b"secret\n", b"") == (done.returncode, done.stdout, done.stderr)


def test_a_certificate_for_another_name_is_told(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    certificates().authority.cert_pem.write_to_path(authority)
    context = server_context(certificates().authority.issue_cert("other.example"))
    with running(EchoWebSocket, ssl_context=context) as server:
        line = failure("--ca-file", str(authority), url_of(server))
        assert f"the certificate of localhost:{server.port} is for another name (" in line
    assert "--insecure" in line


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.pem", "cannot read --ca-file missing.pem: No such file or directory"),
        ("empty.pem", "--ca-file empty.pem: no PEM certificate in it"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("connect", "wss://localhost:1/"),
        ("capture", "wss://localhost:1/", "--output", "trace.wscap"),
        ("replay", str(HERE / "text.wscap.gz"), "--to", "wss://localhost:1/"),
    ],
    ids=["connect", "capture", "replay"],
)
def test_a_bad_ca_file_is_one_line(tmp_path: Path, command: tuple[str, ...], name: str, message: str) -> None:
    (tmp_path / "empty.pem").touch()
    done = run([*WS4PY_NG, *command, "--ca-file", name], cwd=tmp_path)
    assert (1, f"ws4py-ng: {message}\n") == (done.returncode, done.stderr.decode())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TimeoutError("timed out"), "example.org:9000 does not answer: check host and port"),
        (
            ConnectionResetError(104, "reset"),
            "hung up during the handshake: is it a WebSocket server? Does it want ws://?",
        ),
        (OSError(113, "No route to host"), "cannot connect to example.org:9000: No route to host"),
        (ValueError("what is wrong"), "what is wrong"),
    ],
)
def test_what_cannot_be_staged_is_explained(error: Exception, message: str) -> None:
    assert message in explain(error, URL)


def test_a_message_may_come_with_the_handshake() -> None:
    def talk(peer: Peer) -> None:
        peer.send(frame(1, b"early", mask=False) + close_frame(1000, mask=False))
        while peer.take_frame()[0] not in (8, -1):
            pass

    with RawServer(upgrading(talk)) as server:
        done = run([*CONNECT, server.url])
    assert (0, b"early\n") == (done.returncode, done.stdout)
