"""simple_websocket's names over TLS: its servers under every host, and its clients in threads, greenlets and tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from test.programs import Program
from test.server.wsgi_hosts import CERTIFICATE, KEY, command, python_of
from test.transports.tls import CERTS, certificate, client_context, write_certificates
from ws4py_ng.limits import MIB
from ws4py_ng.shims.simple_websocket import Client, ConnectionClosed

WAIT = 20
HOSTS = ("werkzeug", "gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent", "gunicorn-eventlet")
HOSTS += ("cheroot", "wsgiref", "pywsgi", "eventlet")
CLIENTS = ("threads", "gevent", "eventlet", "asyncio")


@pytest.fixture(scope="module", autouse=True)
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("certificates")
        patch.setenv(CERTS, str(folder))  # so that it is forgotten afterwards
        write_certificates(folder)
        yield


@contextmanager
def serving(host: str) -> Iterator[int]:
    files = {CERTIFICATE: certificate("server.pem"), KEY: certificate("server.key")}
    with Program(command(host, "test.shims.sites.simple"), **files) as program:
        line = program.line()
        assert line.startswith("listening on "), line
        yield int(line.split()[-1])
        program.process.terminate()  # a process that is killed leaves its workers behind
        program.status()


@pytest.mark.parametrize("host", HOSTS)
def test_a_server_speaks_tls(host: str) -> None:
    with serving(host) as port:
        url = f"https://localhost:{port}/"
        ws = Client.connect(url, "echo", max_message_size=16 * MIB, ssl_context=client_context())
        assert "echo" == ws.subprotocol
        ws.send(b"first")  # both are read at once
        ws.send("x" * (3 * MIB))
        assert b"first" == ws.receive(timeout=WAIT)
        assert "x" * (3 * MIB) == ws.receive(timeout=WAIT)
        ws.send("bye")
        with pytest.raises(ConnectionClosed) as caught:
            ws.receive(timeout=WAIT)
        assert (4000, "bye") == (caught.value.reason, caught.value.message)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_speaks_tls_and_verifies_the_server(client: str) -> None:
    python = python_of(client) if client == "eventlet" else sys.executable
    assert python, "eventlet has no environment: `make test` makes .venv-legacy"
    module = "test.shims.sites.tls_client"
    with serving("werkzeug") as port, Program([python, "-W", "ignore", "-m", module, client, str(port)]) as program:
        said = [program.line() for _ in range(3)]
        assert ["SSLCertVerificationError", "['first', 3145728]", "4000 bye"] == said
        assert 0 == program.status()
