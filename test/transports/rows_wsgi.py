"""Rows of the contract: WebSockets under WSGI servers, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from test.programs import environment
from test.server.wsgi_hosts import CERTIFICATE, KEY, command, python_of

from .contract import ClientRow, Options, Row, RunningClient, RunningServer, ServerRow
from .diary import WAIT
from .tls import certificate

__all__ = ["OPTIONS", "ROWS", "RunningProcess"]

# Where the server's process finds its options.
OPTIONS = "WS4PY_NG_CONTRACT_OPTIONS"

# The request is read by the WSGI server, before any application sees it.
HEAD = "the server reads the request before the application gets it, and has limits of its own"
READS_ITSELF = {
    "a_request_that_does_not_come_is_408": HEAD,
    "a_head_that_is_too_large_is_431": HEAD,
}
ONE_THREAD = (
    "one thread serves all, so that a hook's sends do not wait for its peer: whoever leaves 16 MiB unread gets 1013"
)
MANAGED = READS_ITSELF | dict.fromkeys(
    (
        "drain_does_not_wait_for_ever",
        "a_slow_reader_is_waited_for",
        "a_slow_reader_of_tls_is_waited_for",
        "a_peer_that_takes_nothing_is_given_up",
    ),
    ONE_THREAD,
)
CHEROOT = MANAGED | {
    "the_request_is_in_environ": "of a header that comes twice, cheroot keeps the last",
    "a_body_is_refused": "cheroot reads the body that was announced before it sends the 400",
}
CHERRYPY = CHEROOT | {
    "an_encoded_path_is_found": "CherryPy finds the page by itself, and reads what is no UTF-8 as latin-1"
}
WSGIREF = MANAGED | {
    "a_plain_request_is_426": "wsgiref forbids applications the header Upgrade, and with it a good 426"
}
DJANGO = WSGIREF | dict.fromkeys(
    (
        "tls_carries_it_all",
        "tls_is_in_environ",
        "tls_ends_well",
        "tls_may_be_lost",
    ),
    "Django's runserver speaks no TLS at all",
)
ARBITER = "gunicorn listens until its workers have ended, so that whoever comes then waits for that"
GUNICORN = MANAGED | {"drain_closes_all_with_1001": ARBITER}


class RunningProcess:
    """Run a server; what it prints on standard error is passed on when it ends badly."""

    def __init__(self, command: list[str], options: Options) -> None:
        changes = {OPTIONS: options.to_json()}
        if options.tls:
            changes |= {CERTIFICATE: certificate("server.pem"), KEY: certificate("server.key")}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env=environment(PYTHONUNBUFFERED="1", **changes), text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on "), line
        self.address = ("127.0.0.1", int(line.split()[-1]))

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.communicate(timeout=WAIT)


NOTHING: Mapping[str, str] = {}


class WSGIRow(ServerRow):
    """`server.wsgi.WebSocketApplication` under one server."""

    functions = True

    def __init__(
        self, name: str, host: str, needs: tuple[str, ...], leaves_out: Mapping[str, str] = NOTHING, like: str = ""
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.host = host
        self.needs = needs  # type: ignore[misc]
        self.leaves_out = leaves_out  # type: ignore[misc]
        self.like = like

    def start(self, options: Options) -> RunningServer:
        return RunningProcess(command(self.host, "test.transports.wsgi_site"), options)


class EventletRow(WSGIRow):
    """The same in an environment of its own."""

    def why_not(self) -> str | None:
        return None if python_of("eventlet") else "eventlet has no environment: `make test` makes .venv-legacy"


class CherryPyRow(ServerRow):
    """`server.cherrypyserver` in CherryPy's own server."""

    name = "CherryPy"
    functions = True
    needs = ("cherrypy",)
    leaves_out = CHERRYPY

    def start(self, options: Options) -> RunningServer:
        return RunningProcess([sys.executable, "-m", "test.transports.cherrypy_site"], options)


class _Client:
    """Run a client in a process of its own."""

    def __init__(self, kind: str, what: str, name: str, url: str, options: Options) -> None:
        module = "test.transports.greenlet_client"
        changes = {OPTIONS: options.to_json()}
        self._process = subprocess.Popen(
            [str(python_of(kind)), "-W", "ignore", "-m", module, kind, what, name, url], env=environment(**changes)
        )

    def wait(self, seconds: float = WAIT) -> None:
        assert 0 == self._process.wait(seconds)


class GreenletClient(ClientRow):
    """`client.geventclient` or `client.eventletclient`."""

    pulls = True

    def __init__(self, kind: str) -> None:
        self.name = kind  # type: ignore[misc]

    def why_not(self) -> str | None:
        return None if python_of(self.name) else f"{self.name} is not there"

    def start(self, hooks: str, url: str, options: Options) -> RunningClient:
        return _Client(self.name, "connect", hooks, url, options)

    def pull(self, script: str, url: str, options: Options) -> RunningClient:
        return _Client(self.name, "pull", script, url, options)


ROWS: list[Row] = [
    WSGIRow("Werkzeug", "werkzeug", ("werkzeug",), MANAGED),
    WSGIRow("gunicorn sync", "gunicorn-sync", ("gunicorn",), GUNICORN, like="Werkzeug"),
    WSGIRow("gunicorn gthread", "gunicorn-gthread", ("gunicorn",), GUNICORN, like="Werkzeug"),
    WSGIRow("cheroot", "cheroot", ("cheroot",), CHEROOT, like="Werkzeug"),
    WSGIRow("wsgiref, threaded", "wsgiref", (), WSGIREF, like="Werkzeug"),
    WSGIRow("Django's runserver", "django", ("django",), DJANGO, like="Werkzeug"),
    CherryPyRow(),
    WSGIRow("gevent", "geventserver", ("gevent",), READS_ITSELF),
    WSGIRow("gevent.pywsgi", "pywsgi", ("gevent",), READS_ITSELF, like="gevent"),
    WSGIRow("gunicorn gevent", "gunicorn-gevent", ("gunicorn", "gevent"), READS_ITSELF, like="gevent"),
    EventletRow("eventlet", "eventletserver", (), READS_ITSELF),
    EventletRow("gunicorn eventlet", "gunicorn-eventlet", (), READS_ITSELF, like="eventlet"),
    GreenletClient("gevent"),
    GreenletClient("eventlet"),
]
