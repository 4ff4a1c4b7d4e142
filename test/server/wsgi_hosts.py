"""Run an application under a WSGI server: ``python -m test.server.wsgi_hosts HOST MODULE``.

``MODULE.application`` is served at a free port of 127.0.0.1, and ``listening on PORT`` printed.
TLS is spoken if ``WSGI_CERTIFICATE`` and ``WSGI_KEY`` are in the environment. SIGTERM ends it as
Ctrl-C does. For gunicorn this module is the configuration; see `command`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import ssl
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

__all__ = ["COOPERATIVE", "HOSTS", "LEGACY", "command", "python_of"]

ROOT = Path(__file__).parent.parent.parent
CERTIFICATE, KEY = "WSGI_CERTIFICATE", "WSGI_KEY"
# A timeout of the server's own that is over soon: it must not count for WebSockets.
SHORT = 1

GUNICORN = {
    "gunicorn-sync": ("--worker-class", "sync"),
    "gunicorn-gthread": ("--worker-class", "gthread", "--threads", "4"),
    "gunicorn-gevent": ("--worker-class", "gevent"),
    "gunicorn-eventlet": ("--worker-class", "eventlet"),
}
# Where a WebSocket stays in its greenlet.
COOPERATIVE = ("gunicorn-gevent", "gunicorn-eventlet", "pywsgi", "geventserver", "eventlet", "eventletserver")
# What does not live with the other libraries, and runs in an environment of its own: `make` makes it.
LEGACY = ("gunicorn-eventlet", "eventlet", "eventletserver")
LEGACY_PYTHON = os.environ.get("WS4PY_NG_LEGACY_PYTHON", str(ROOT / ".venv-legacy" / "bin" / "python"))
# Settings of gunicorn.
certfile, keyfile = os.environ.get(CERTIFICATE), os.environ.get(KEY)


def python_of(library: str) -> str | None:
    """Return the Python that has a library: ours or the legacy one; None if there is none."""
    if find_spec(library) is not None:
        return sys.executable
    return LEGACY_PYTHON if library == "eventlet" and Path(LEGACY_PYTHON).exists() else None


def command(host: str, module: str) -> list[str]:
    """Return the command that serves ``module.application`` under a host."""
    python = [str(python_of("eventlet") if host in LEGACY else sys.executable), "-W", "ignore"]
    if host not in GUNICORN:
        return [*python, "-m", "test.server.wsgi_hosts", host, module]
    options = ["--config", "python:test.server.wsgi_hosts", "--access-logfile", "-", "--timeout", "5"]
    worker = [*GUNICORN[host], "--graceful-timeout", "10", "--keep-alive", str(SHORT), "--no-control-socket"]
    where = ["--bind", "127.0.0.1:0", f"{module}:application"]
    return [*python, "-m", "gunicorn", *options, *worker, *where]


def announce(port: int) -> None:
    """Say where we listen."""
    sys.stdout.write(f"listening on {port}\n")
    sys.stdout.flush()


def when_ready(server: Any) -> None:
    """Be gunicorn's hook."""
    announce(server.LISTENERS[0].getsockname()[1])


def context() -> ssl.SSLContext | None:
    """Make the context of a server that is to speak TLS."""
    if CERTIFICATE not in os.environ:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(os.environ[CERTIFICATE], os.environ[KEY])
    return made


def werkzeug(application: Any, threaded: bool = True) -> None:
    """Run Werkzeug's development server."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, application, threaded=threaded, ssl_context=context())
    announce(server.port)
    server.serve_forever()


def werkzeug_single(application: Any) -> None:
    """Run it in one thread."""
    werkzeug(application, threaded=False)


def cheroot(application: Any) -> None:
    """Run cheroot with four threads."""
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), application, numthreads=4, timeout=SHORT)
    server.error_log = lambda msg="", level=20, traceback=False: sys.stderr.write(f"cheroot says {msg}\n")
    if CERTIFICATE in os.environ:
        server.ssl_adapter = BuiltinSSLAdapter(os.environ[CERTIFICATE], os.environ[KEY])
    server.prepare()
    announce(server.bind_addr[1])
    try:
        server.serve()
    finally:
        server.stop()


def wsgiref(application: Any, threaded: bool = True) -> None:
    """Run the standard library's server, in threads."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer, make_server

    kind = type("Server", (ThreadingMixIn, WSGIServer), {"daemon_threads": True}) if threaded else WSGIServer
    server = make_server("127.0.0.1", 0, application, server_class=kind)
    made = context()
    if made is not None:
        server.socket = made.wrap_socket(server.socket, server_side=True)
    announce(server.server_port)
    with server:
        server.serve_forever()


def wsgiref_single(application: Any) -> None:
    """Run it in one thread."""
    wsgiref(application, threaded=False)


def django(application: Any) -> None:
    """Run the server of Django's runserver."""
    from django.conf import settings
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    settings.configure()
    server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler, ipv6=False)
    server.set_app(application)
    announce(server.server_port)
    with server:
        server.serve_forever()


def _gevent(server_class: Any, application: Any) -> None:
    import gevent

    options = {"certfile": os.environ[CERTIFICATE], "keyfile": os.environ[KEY]} if CERTIFICATE in os.environ else {}
    server = server_class(("127.0.0.1", 0), application, log=sys.stderr, **options)
    server.start()
    # A signal's exception would strike whichever greenlet runs.
    gevent.signal_handler(signal.SIGTERM, server.stop)
    announce(server.server_port)
    server.serve_forever()


def pywsgi(application: Any) -> None:
    """Run gevent's server as it is."""
    from gevent.pywsgi import WSGIServer

    _gevent(WSGIServer, application)


def geventserver(application: Any) -> None:
    """Run ours over gevent's."""
    from ws4py_ng.server.geventserver import WSGIServer

    _gevent(WSGIServer, application)


def eventlet(application: Any) -> None:
    """Run eventlet's server as it is."""
    import eventlet as library
    from eventlet import wsgi

    sock = library.listen(("127.0.0.1", 0))
    this = library.getcurrent()
    _at_sigterm(lambda: library.kill(this, KeyboardInterrupt))
    announce(sock.getsockname()[1])
    if CERTIFICATE in os.environ:
        sock = library.wrap_ssl(sock, certfile=os.environ[CERTIFICATE], keyfile=os.environ[KEY], server_side=True)
    wsgi.server(sock, application, socket_timeout=SHORT)


def eventletserver(application: Any) -> None:
    """Run ours over eventlet's."""
    from ws4py_ng.server.eventletserver import WSGIServer

    server = WSGIServer(("127.0.0.1", 0), application, ssl_context=context(), socket_timeout=SHORT)
    _at_sigterm(server.stop)
    announce(server.server_port)
    server.serve_forever()


def _at_sigterm(stop: Callable[[], object]) -> None:
    """Let a greenlet stop the server: an exception of a signal would strike whichever runs."""
    import eventlet as library

    reader, writer = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(writer, b"!"))

    def watch() -> None:
        library.hubs.trampoline(reader, read=True)
        stop()

    library.spawn(watch)


def waitress(application: Any) -> None:
    """Run a server that gives no socket."""
    from waitress.server import create_server

    server = create_server(application, host="127.0.0.1", port=0)
    announce(int(server.effective_port))
    server.run()


HOSTS: dict[str, Callable[[Any], None]] = {
    function.__name__: function
    for function in (
        *(werkzeug, werkzeug_single, cheroot, wsgiref, wsgiref_single, django),
        *(pywsgi, geventserver, eventlet, eventletserver, waitress),
    )
}


def main(host: str, module: str) -> None:
    """Serve until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        HOSTS[host](importlib.import_module(module).application)


if __name__ == "__main__":
    main(*sys.argv[1:])
