"""`ws4py-ng serve` and `demo`, each as a process of its own, and what both do with bad arguments."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import sys
import textwrap
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import ws4py_ng
from test.client.peers import certificates, client_context, frame, request
from test.programs import WAIT, WS4PY_NG, Program, run
from test.recordings.make import HERE
from ws4py_ng.cli import demo, options
from ws4py_ng.cli.serve import find_app

TRACE = str(HERE / "text.wscap.gz")
ECHO_TWICE = """
from ws4py_ng.websocket import WebSocket

class Twice(WebSocket):
    def received_message(self, message):
        self.send(message.data * 2, message.is_binary)

class Outer:
    class Inner(Twice):
        pass

class Async(WebSocket):
    async def received_message(self, message):
        pass

class Other:
    pass

a_function = print
"""


def serve_at(*arguments: str, cwd: Path | None = None) -> Program:
    """Start `serve` on a free port."""
    return Program([*WS4PY_NG, "serve", "--port", "0", *arguments], cwd=cwd)


def url_from(program: Program) -> str:
    """Read the address from the first line."""
    found = re.fullmatch(r"listening on (wss?://\S+/)", program.line())
    assert found
    return found[1]


def port_of(url: str) -> int:
    """Take the port out of a URL."""
    return int(re.findall(r":(\d+)/", url)[0])


def peer(url: str, **settings: Any) -> ClientConnection:
    """Connect a client that is not ours."""
    connection: ClientConnection = connect(url, proxy=None, **settings)
    return connection


@pytest.fixture
def app_folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(ECHO_TWICE)
    (tmp_path / "broken.py").write_text("import there_is_no_such_module\n")
    (tmp_path / "faulty.py").write_text("1 / 0\n")
    return tmp_path


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """Write certificate and key for localhost into a folder, and what else may be given for one."""
    certificates().server.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in certificates().server.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    certificates().client.private_key_pem.write_to_path(tmp_path / "other.pem")
    (tmp_path / "empty.pem").touch()
    return tmp_path


# The program


@pytest.mark.parametrize("command", [("--version",), ("serve", "--help"), ("connect", "--help"), ("demo", "--help")])
def test_it_explains_itself(command: tuple[str, ...]) -> None:
    done = run([*WS4PY_NG, *command])
    assert (0, b"") == (done.returncode, done.stderr)
    assert done.stdout


def test_the_version_names_the_build() -> None:
    done = run([*WS4PY_NG, "--version"])
    assert f"ws4py_ng {ws4py_ng.__version__} ({ws4py_ng.BUILD} build, Python ".encode() in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "COMMAND"),
        ("fly", "invalid choice"),
        ("serve --port 65536", "'65536', expected a number from 0 (any free port) to 65535"),
        ("serve --port x", "'x', expected a number"),
        ("serve --max-message-size 0", "'0', expected a number of bytes, 1 or more"),
        ("serve --ping-interval never", "'never', expected seconds, more than 0, at most 1000000000, or 'off'"),
        ("serve --ping-interval nan", "'nan', expected seconds"),
        ("serve --ping-interval 1e300", "'1e300', expected seconds, more than 0, at most 1000000000"),
        ("serve --workers 2 --drain 1e300", "'1e300', expected seconds, 0 or more, at most 1000000000"),
        ("serve --origin example.com", "origin 'example.com', expected scheme://host"),
        ("serve --workers 0", "'0', expected a number, 1 or more"),
        ("serve --workers 2 --drain -1", "'-1', expected seconds, 0 or more"),
        ("serve --metrics", "--metrics needs --workers"),
        ("serve --drain 1", "--drain needs --workers"),
        ("serve --drain 0", "--drain needs --workers"),
        ("serve --bus kafka://h", "--bus: bus 'kafka://h': 'kafka' is none of redis, rediss, redis+unix, nats, tls"),
        ("serve --bus redis", "--bus: bus 'redis', expected a URL like redis://host"),
        ("serve --bus redis://h:x", "--bus: Port could not be cast to integer value as 'x'"),
        ("serve --bus streams+redis://h:x --workers 2", "--bus: Port could not be cast"),
        ("serve --bus nats://h:x", "--bus: Port could not be cast to integer value as 'x'"),
        ("serve --bus nats:///x", "--bus: A URL of NATS is like 'nats://localhost:4222', got 'nats:///x'"),
        ("serve --keyfile key.pem", "--keyfile without --certfile"),
        ("connect", "URL"),
        ("connect --header Nonsense ws://h/", "'Nonsense', expected 'Name: value'"),
        ("connect --header 'A B: c' ws://h/", "header name 'A B' is not a token"),
        ("connect --protocol 'a b' ws://h/", "'a b' in --protocol is not a token"),
        ("connect --insecure --ca-file f wss://h/", "not allowed with argument"),
    ],
)
def test_wrong_usage_has_status_2(arguments: str, message: str) -> None:
    done = run([*WS4PY_NG, *shlex.split(arguments)])
    assert (2, b"") == (done.returncode, done.stdout)
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize("arguments", [("--help",), (TRACE,), (TRACE, "--json")], ids=["help", "table", "json"])
def test_what_the_output_cannot_encode_is_escaped(arguments: tuple[str, ...], encoding: str) -> None:
    done, plain = (run([*WS4PY_NG, "inspect", *arguments], PYTHONIOENCODING=name) for name in (encoding, "utf-8"))
    assert (0, b"") == (done.returncode, done.stderr)
    if "--json" in arguments:
        assert [*map(json.loads, plain.stdout.splitlines())] == [*map(json.loads, done.stdout.splitlines())]
    else:
        assert plain.stdout.decode().encode(encoding, "backslashreplace") == done.stdout


@pytest.mark.parametrize(
    ("target", "message"), [("/dev/full", "No space left on device"), ("&-", "it is closed")], ids=["full", "closed"]
)
@pytest.mark.parametrize(
    "command",
    [("inspect", TRACE), ("inspect", TRACE, "--json"), ("replay", TRACE, "--app", "echo"), ("serve", "--port", "0")],
    ids=["inspect", "json", "replay", "serve"],
)
def test_an_output_that_takes_nothing_is_one_line(command: tuple[str, ...], target: str, message: str) -> None:
    done = run(["sh", "-c", f'exec "$@" >{target}', "sh", *WS4PY_NG, *command])
    assert (1, f"ws4py-ng: cannot write to standard output: {message}\n") == (done.returncode, done.stderr.decode())


def test_an_interval_is_in_seconds_or_off() -> None:
    assert 2.5 == options.interval("2.5")
    assert options.interval("off") is None


# serve


def test_serve_prints_its_address_first_and_echoes() -> None:
    with serve_at() as program:
        url = url_from(program)
        with peer(url) as client:
            client.send("Grüße")
            assert "Grüße" == client.recv()
            client.send(b"\x00\xff")
            assert b"\x00\xff" == client.recv()
            assert ["permessage-deflate"] == [each.name for each in client.protocol.extensions]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_every_connection_with_1001(number: int) -> None:
    with serve_at() as program:
        url = url_from(program)
        with peer(url) as one, peer(url) as other:
            program.send_signal(number)
            for client in (one, other):
                with pytest.raises(ConnectionClosed) as caught:
                    client.recv()
                assert caught.value.rcvd is not None
                assert (1001, "Server is shutting down") == (caught.value.rcvd.code, caught.value.rcvd.reason)
        assert 0 == program.status()
        assert [] == program.errors()


def test_a_second_signal_does_not_wait_for_the_peers() -> None:
    # Without -W error: what is left open in this haste is closed by the system.
    with (
        Program([sys.executable, "-m", "ws4py_ng", "serve", "--port", "0"]) as program,
        socket.create_connection(("127.0.0.1", port_of(url_from(program))), timeout=WAIT) as client,
    ):
        client.sendall(request() + frame(1, b"are you there?"))
        seen = b""
        while b"are you there?" not in seen:
            seen += client.recv(4096)
        program.send_signal()
        while b"\x88" not in client.recv(4096):  # the Close frame, which is not answered
            pass
        program.send_signal()
        assert 130 == program.status()
        assert [] == program.errors()


def test_a_second_signal_interrupts_no_shutdown() -> None:
    # In a lock's code it would leave the lock in disorder, and end in a traceback.
    code = """
        import signal, sys, threading
        from ws4py_ng.cli import main
        from ws4py_ng.server import threadedserver

        class Slow(threadedserver.Server):
            def shutdown(self):
                try:
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                    threading.Event().wait()
                except KeyboardInterrupt:
                    sys.stderr.write("disturbed")
                    raise

        threadedserver.Server = Slow
        sys.exit(main(["serve", "--port", "0"]))
    """
    with Program([sys.executable, "-c", textwrap.dedent(code)]) as program:
        url_from(program)
        program.send_signal()
        assert 130 == program.status()
        assert [] == program.errors()


@pytest.mark.parametrize("name", ["app:Twice", "app:Outer.Inner"])
def test_an_app_is_imported_from_the_current_directory(app_folder: Path, name: str) -> None:
    with serve_at("--app", name, cwd=app_folder) as program, peer(url_from(program)) as client:
        client.send("ab")
        assert "abab" == client.recv()


def test_the_installed_program_finds_the_app_too(app_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its sys.path begins with the folder of the script, not with the current one.
    monkeypatch.chdir(app_folder)
    monkeypatch.setattr(sys, "path", [str(app_folder / "bin"), *sys.path])
    monkeypatch.delitem(sys.modules, "app", raising=False)
    assert "Twice" == find_app("app:Twice").__name__
    del sys.modules["app"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "--app 'nonsense', expected 'module:Class' or 'echo'"),
        ("app:", "--app 'app:', expected 'module:Class' or 'echo'"),
        ("..:Class", "--app '..:Class', expected 'module:Class' or 'echo'"),
        ("missing:Class", "--app 'missing:Class': there is no module 'missing', here or installed"),
        ("app.sub:Class", "--app 'app.sub:Class': there is no module 'app.sub', here or installed"),
        ("app:Missing", "--app 'app:Missing': 'app' has no 'Missing'"),
        ("app:Other", "--app 'app:Other' is no subclass of ws4py_ng.websocket.WebSocket"),
        ("app:a_function", "--app 'app:a_function' is no subclass of ws4py_ng.websocket.WebSocket"),
        (
            "app:Async",
            "--app 'app:Async': received_message is async, but here are threads: "
            "make it a plain function, or serve it by --workers 1",
        ),
    ],
)
def test_a_bad_app_is_one_line(app_folder: Path, name: str, message: str) -> None:
    done = run([*WS4PY_NG, "serve", "--port", "0", "--app", name], cwd=app_folder)
    assert (1, b"") == (done.returncode, done.stdout)
    assert f"ws4py-ng: {message}\n" == done.stderr.decode()


@pytest.mark.parametrize(
    ("name", "message"), [("broken:C", "No module named 'there_is_no_such_module'"), ("faulty:C", "ZeroDivisionError")]
)
def test_an_app_that_fails_shows_its_author_where(app_folder: Path, name: str, message: str) -> None:
    done = run([*WS4PY_NG, "serve", "--port", "0", "--app", name], cwd=app_folder)
    assert 1 == done.returncode
    assert message in done.stderr.decode()
    assert f'{name.partition(":")[0]}.py", line 1' in done.stderr.decode()


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run([*WS4PY_NG, "serve", "--port", str(port)])
    assert (1, b"") == (done.returncode, done.stdout)
    assert f"ws4py-ng: port {port} of 127.0.0.1 is in use: choose another by --port\n" == done.stderr.decode()


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("no-such-host.invalid", "cannot listen on --host 'no-such-host.invalid': "),
        ("192.0.2.1", "--host '192.0.2.1' is no address of this machine: try 127.0.0.1"),
    ],
)
def test_a_bad_host_is_one_line(host: str, message: str) -> None:
    done = run([*WS4PY_NG, "serve", "--port", "0", "--host", host])
    assert 1 == done.returncode
    assert done.stderr.decode().startswith(f"ws4py-ng: {message}")
    assert 1 == done.stderr.count(b"\n")


@pytest.mark.parametrize(("host", "shown"), [("localhost", "localhost"), ("::1", "[::1]"), ("0.0.0.0", "0.0.0.0")])
def test_the_address_is_a_url_that_works(host: str, shown: str) -> None:
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("Python was built without IPv6")
    with serve_at("--host", host) as program:
        url = url_from(program)
        assert url.startswith(f"ws://{shown}:")
        with peer(url) as client:
            client.send("here")
            assert "here" == client.recv()


def test_serve_speaks_tls(pem: Path) -> None:
    arguments = ("--certfile", str(pem / "cert.pem"), "--keyfile", str(pem / "key.pem"), "--host", "localhost")
    with serve_at(*arguments) as program:
        url = url_from(program)
        assert url.startswith("wss://localhost:")
        with peer(url, ssl=client_context()) as client:
            client.send("secret")
            assert "secret" == client.recv()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("missing.pem", "key.pem"), "cannot read missing.pem: No such file or directory"),
        (("cert.pem", "missing.pem"), "cannot read missing.pem: No such file or directory"),
        (("cert.pem", "other.pem"), "cert.pem and other.pem: no PEM certificate with its private key (KEY_VALUES_MISM"),
        (("cert.pem",), "cert.pem: no PEM certificate with its private key ("),
        (("empty.pem",), "empty.pem: no PEM certificate with its private key ("),
    ],
)
def test_bad_certificates_are_one_line(pem: Path, files: tuple[str, ...], message: str) -> None:
    names = [argument for pair in zip(("--certfile", "--keyfile"), files, strict=False) for argument in pair]
    done = run([*WS4PY_NG, "serve", "--port", "0", *names], cwd=pem)
    assert (1, b"") == (done.returncode, done.stdout)
    assert done.stderr.decode().startswith(f"ws4py-ng: {message}")
    assert 1 == done.stderr.count(b"\n")


def test_messages_have_a_size_and_need_not_be_compressed() -> None:
    with serve_at("--max-message-size", "10", "--no-deflate") as program, peer(url_from(program)) as client:
        assert [] == client.protocol.extensions
        client.send("x" * 10)
        assert "x" * 10 == client.recv()
        client.send("x" * 11)
        with pytest.raises(ConnectionClosed) as caught:
            client.recv()
        assert caught.value.rcvd is not None
        assert 1009 == caught.value.rcvd.code


def test_pings_come_as_often_as_wanted() -> None:
    with (
        serve_at("--ping-interval", "0.05") as program,
        socket.create_connection(("127.0.0.1", port_of(url_from(program)))) as client,
    ):
        client.sendall(request())
        client.settimeout(60)
        seen = b""
        while b"\r\n\r\n\x89" not in seen:
            seen += client.recv(4096)


def test_foreign_pages_come_in_by_origin() -> None:
    with serve_at("--origin", "https://one.example", "--origin", "https://two.example") as program:
        url = url_from(program)
        for origin in (None, "https://one.example", "https://two.example"):
            with peer(url, origin=origin) as client:
                client.send("let in")
                assert "let in" == client.recv()
        with pytest.raises(InvalidStatus) as caught, peer(url, origin="https://three.example"):
            pass
        assert 403 == caught.value.response.status_code


def test_verbose_logs_requests() -> None:
    with serve_at("--verbose") as program:
        with peer(url_from(program) + "some/path"):
            program.send_signal()
        assert 0 == program.status()
        assert "GET /some/path" in program.errors()


# demo


@pytest.fixture
def running_demo() -> Iterator[tuple[Program, int, str]]:
    """Start the demo: the program, its port, and the command that it prints."""
    with Program([*WS4PY_NG, "demo", "--port", "0"]) as program:
        found = re.fullmatch(r"open +http://127\.0\.0\.1:(\d+)/", program.line())
        assert found
        command = re.fullmatch(r"or try +(.+)", program.line())
        assert command
        assert f"or watch  http://127.0.0.1:{found[1]}/dashboard" == program.line()
        assert program.line().endswith("Ctrl-C")
        yield program, int(found[1]), command[1]


def fetch(port: int, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    """Make a plain HTTP request."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_demo_prints_a_command_that_works(running_demo: tuple[Program, int, str]) -> None:
    _, port, command = running_demo
    assert command.endswith(f" connect ws://127.0.0.1:{port}/echo")
    done = run(shlex.split(command), b"hello\n")
    assert (0, b"hello\n", b"") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("path", "kind", "holds"),
    [
        ("/", "text/html; charset=utf-8", f'version {ws4py_ng.__version__}, <span id="build">{ws4py_ng.BUILD}</span>'),
        ("/?query", "text/html; charset=utf-8", 'data-echo="/echo"'),
        ("/app.js", "text/javascript; charset=utf-8", "new Worker"),
        ("/worker.js", "text/javascript; charset=utf-8", "new WebSocket"),
        ("/style.css", "text/css; charset=utf-8", "prefers-color-scheme: dark"),
        ("/dashboard", "text/html; charset=utf-8", "<title>ws4py_ng dashboard"),
        ("/dashboard/room.js", "text/javascript; charset=utf-8", "new uPlot("),
        ("/dashboard/uplot/uPlot.iife.min.js", "text/javascript; charset=utf-8", "uPlot"),
        ("/dashboard/uplot/uPlot.min.css", "text/css; charset=utf-8", ".uplot"),
        ("/favicon.svg", "image/svg+xml", "<svg"),
        ("/favicon.ico", "image/svg+xml", "<svg"),
    ],
)
def test_demo_serves_its_page(running_demo: tuple[Program, int, str], path: str, kind: str, holds: str) -> None:
    _, port, _ = running_demo
    response, body = fetch(port, path)
    assert (200, kind) == (response.status, response.getheader("Content-Type"))
    assert holds in body.decode()
    assert "{{" not in body.decode()
    assert "nosniff" == response.getheader("X-Content-Type-Options")
    policy = response.getheader("Content-Security-Policy") or ""
    assert "default-src 'none'; script-src 'self';" in policy
    assert f"connect-src 'self' ws://127.0.0.1:{port};" in policy
    assert "unsafe" not in policy
    head, nothing = fetch(port, path, "HEAD")
    assert (200, b"", response.getheader("Content-Length")) == (head.status, nothing, head.getheader("Content-Length"))


@pytest.mark.parametrize(
    ("method", "path", "status", "holds"),
    [
        ("GET", "/nothing", 404, "Nothing at /nothing: the page is at /, the WebSocket at /echo"),
        ("HEAD", "/nothing", 404, ""),
        ("GET", "/__init__.py", 404, "Nothing at"),
        ("GET", "/../cli/serve.py", 404, "Nothing at"),
        ("GET", "/dashboard/rooms.py", 404, "the dashboard is at /dashboard"),
        ("GET", "/dashboard/live", 426, "ws://"),
        ("POST", "/", 405, "POST is not served here"),
        ("GET", "/echo", 426, "ws://"),
    ],
)
def test_demo_serves_nothing_else(
    running_demo: tuple[Program, int, str], method: str, path: str, status: int, holds: str
) -> None:
    _, port, _ = running_demo
    response, body = fetch(port, path, method)
    assert status == response.status
    assert holds in body.decode()


def test_demo_wants_a_host(running_demo: tuple[Program, int, str]) -> None:
    _, port, _ = running_demo
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h; script-src *\r\n\r\n")
        assert b"HTTP/1.1 400 " == client.recv(13)


def test_demo_ends_by_ctrl_c(running_demo: tuple[Program, int, str]) -> None:
    program, port, _ = running_demo
    with peer(f"ws://127.0.0.1:{port}/echo") as client:
        program.send_signal()
        with pytest.raises(ConnectionClosed) as caught:
            client.recv()
        assert caught.value.rcvd is not None
        assert 1001 == caught.value.rcvd.code
    assert 0 == program.status()
    assert [] == program.errors()


@pytest.mark.parametrize(("level", "more"), [(None, ""), ("1", " (make demo PORT={port})")])
def test_demo_names_the_way_out_of_a_port_in_use(level: str | None, more: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made_by: dict[str, Any] = {"MAKELEVEL": level} if level else {}
        done = run([*WS4PY_NG, "demo", "--port", str(port)], **made_by)
    other = min(port + 1, 65535)
    expected = f"port {port} of 127.0.0.1 is in use: choose another by --port {other}{more.format(port=other)}"
    assert (1, b"", f"ws4py-ng: {expected}\n") == (done.returncode, done.stdout, done.stderr.decode())


def test_the_program_is_named_as_it_can_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "ws4py-ng"
    script.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["bin/ws4py-ng"])
    assert "bin/ws4py-ng" == demo.own_command()
    monkeypatch.setattr(sys, "argv", ["/x/ws4py_ng/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    assert "bin/ws4py-ng" == demo.own_command()
    monkeypatch.setenv("PATH", str(folder))
    assert "ws4py-ng" == demo.own_command()
    script.unlink()
    assert "bin/python -m ws4py_ng" == demo.own_command()
    monkeypatch.setattr(sys, "executable", "/a b/python")
    assert "'/a b/python' -m ws4py_ng" == demo.own_command()
