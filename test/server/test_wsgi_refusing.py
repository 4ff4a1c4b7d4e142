"""WSGI servers that give no socket away: plain requests as ever, and for a WebSocket one clear line."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from test.client.peers import WAIT, Peer, request
from test.many import eventually
from test.programs import Program

from .test_wsgi import SITE, rest_of
from .wsgi_hosts import command

APPLICATION = f"{SITE}:application"
WAY_OUT = "gives no socket to a WSGI application: serve WebSockets by ASGI there, with ws4py_ng.server.asgi."
COMMANDS = {
    "waitress": command("waitress", SITE),
    "granian": [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--port", "{}", APPLICATION],
    "uvicorn": [sys.executable, "-m", "uvicorn", "--interface", "wsgi", "--port", "{}", APPLICATION],
    "hypercorn": [sys.executable, "-m", "hypercorn", "--bind", "127.0.0.1:{}", f"wsgi:{APPLICATION}"],
}


def answers(port: int) -> bool:
    """Tell whether somebody listens."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, sent: bytes) -> tuple[int, str]:
    """Send a request; return the status and the body of the answer."""
    with Peer(socket.create_connection(("127.0.0.1", port), WAIT)) as peer:
        peer.send(sent)
        head = peer.take_head()
        sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return int(head.split()[1]), peer.take(int(sizes[0]) if sizes else 0).decode()


@pytest.fixture(params=COMMANDS)
def host(request: pytest.FixtureRequest) -> Iterator[tuple[str, int, Program]]:
    """Serve the site; give the name, the port and the program."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with Program([part.format(port) for part in COMMANDS[request.param]]) as program:
        if request.param == "waitress":
            port = int(program.line().split()[-1])
        assert eventually(lambda: answers(port))
        yield request.param, port, program


def test_a_websocket_is_refused_by_one_line_that_names_the_way(host: tuple[str, int, Program]) -> None:
    name, port, program = host
    page = f"GET /page HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
    assert (200, "plain /page 0") == ask(port, page)
    status, body = ask(port, request(port=port, line="GET /ws HTTP/1.1"))
    assert (200, "plain /page 0") == ask(port, page)
    program.process.terminate()
    printed = [*program.errors(), *rest_of(program)]
    if name == "hypercorn":  # it refuses by itself, and the application is not asked
        assert 403 == status
        return
    assert 501 == status
    assert WAY_OUT in body
    assert 1 == body.count("\n")
    assert 1 == sum(WAY_OUT in line for line in printed), printed
    assert not any("Traceback" in line for line in printed)
