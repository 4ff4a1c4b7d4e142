"""The examples for WSGI servers, CherryPy, gevent and eventlet run as their docstrings say."""

from __future__ import annotations

import re
import signal
import sys
from contextlib import ExitStack
from urllib.request import urlopen

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from test.programs import ROOT, WAIT, Program, run
from test.server.wsgi_hosts import python_of

EXAMPLES = ROOT / "example"


def example(name: str, *arguments: str, python: str = sys.executable, warnings: str = "error") -> list[str]:
    """Make the command that runs an example."""
    return [python, "-W", warnings, str(EXAMPLES / f"{name}.py"), *arguments]


def url_from(program: Program) -> str:
    """Read the address that a server prints."""
    found = re.fullmatch(r"listening on (ws://127\.0\.0\.1:\d+/\w*)", program.line())
    assert found
    return found[1]


def page(url: str, path: str) -> str:
    """Ask for a page of the same server."""
    place = url.removeprefix("ws://").partition("/")[0]
    with urlopen(f"http://{place}{path}", timeout=WAIT) as answer:
        body: bytes = answer.read()
    return body.decode()


def check_goodbye(client: ClientConnection) -> None:
    """See the server close with 1001."""
    with pytest.raises(ConnectionClosed) as caught:
        client.recv(WAIT)
    assert caught.value.rcvd is not None
    assert 1001 == caught.value.rcvd.code


def check_end(program: Program) -> None:
    """See the program end well, and in silence."""
    assert ([], 0) == (program.errors(), program.status())


def test_the_chat_of_cherrypy_has_names_pages_and_a_door() -> None:
    with Program(example("cherrypy_chat", "0")) as server:
        url = url_from(server)
        with ExitStack() as stack:
            ada = stack.enter_context(connect(f"{url}?name=Ada", proxy=None))
            ada.send("I")  # whoever hears himself is in the list of those who are told
            assert "Ada: I" == ada.recv(WAIT)
            other = stack.enter_context(connect(url, proxy=None))
            other.send("and I")
            assert "somebody: and I" == ada.recv(WAIT) == other.recv(WAIT)
            ada.send("hello")
            assert "Ada: hello" == ada.recv(WAIT) == other.recv(WAIT)
            assert "said" == page(url, "/say?text=news")
            assert "page: news" == ada.recv(WAIT) == other.recv(WAIT)
            with pytest.raises(InvalidStatus) as caught:
                connect(f"{url}?name=nobody", proxy=None)
            assert 403 == caught.value.response.status_code
            assert "This is a chat." == page(url, "/")
            server.send_signal(signal.SIGTERM)
            check_goodbye(ada)
            check_goodbye(other)
        check_end(server)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_of_gevent_has_a_clock(number: signal.Signals) -> None:
    with Program(example("gevent_server", "0")) as server:
        url = url_from(server)
        with connect(f"{url}clock", proxy=None) as clock, connect(f"{url}echo", proxy=None) as echo:
            assert "+00:00" in str(clock.recv(WAIT))
            echo.send("x" * 70_000)
            assert "x" * 70_000 == echo.recv(WAIT)
            assert "/clock" in page(url, "/")
            server.send_signal(number)
            check_goodbye(echo)
        check_end(server)


def test_the_client_of_gevent_talks_and_listens() -> None:
    with Program(example("gevent_server", "0")) as server:
        client = run(example("gevent_client", f"{url_from(server)}echo"))
    assert (0, b"") == (client.returncode, client.stderr)
    assert ["to", "be", "continued", "that is all"] == client.stdout.decode().splitlines()


def test_the_server_of_eventlet_echoes() -> None:
    python = python_of("eventlet")
    if python is None:
        pytest.skip("eventlet has no environment: `make test` makes .venv-legacy")
    with Program(example("eventlet_server", "0", python=python, warnings="ignore")) as server:
        with connect(f"{url_from(server)}echo", proxy=None) as client:
            client.send("hello")
            assert "hello" == client.recv(WAIT)
            with pytest.raises(TimeoutError):  # Ctrl-C strikes whichever greenlet runs: let none
                client.recv(0.2)
            server.send_signal()
            check_goodbye(client)
        assert 0 == server.status(), server.errors()


def test_the_chat_of_flask_is_for_everybody() -> None:
    with Program(example("flask_chat", "0")) as server:
        url = url_from(server)
        with connect(url, proxy=None) as one, connect(url, proxy=None) as two:
            one.send("I")
            assert "I" == one.recv(WAIT)
            two.send("hello")
            while "hello" != two.recv(WAIT):
                pass
            two.send("hello")
            assert "hello" == one.recv(WAIT)
            assert "hello" == one.recv(WAIT) == two.recv(WAIT)
            assert "2 connected" == page(url, "/")
            server.send_signal()
            check_goodbye(one)
        check_end(server)


@pytest.mark.parametrize(
    ("name", "application", "path"), [("flask_chat", "app", "chat"), ("gunicorn_echo", "application", "echo")]
)
def test_gunicorn_serves_the_same_files(name: str, application: str, path: str) -> None:
    options = ["--threads", "4", "--config", "python:test.server.wsgi_hosts", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", *options, "--chdir", str(EXAMPLES)]
    with Program([*command, f"{name}:{application}"]) as server:
        port = int(server.line().split()[-1])
        with connect(f"ws://127.0.0.1:{port}/{path}", proxy=None) as client:
            client.send("hello")
            assert "hello" == client.recv(WAIT)
            assert page(f"ws://127.0.0.1:{port}/", "/")
            server.send_signal(signal.SIGTERM)
            check_goodbye(client)
        assert 0 == server.status(), server.errors()
