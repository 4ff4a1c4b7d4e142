"""`ws4py-ng serve`: a server for one WebSocket class, of this package or of yours."""

from __future__ import annotations

import argparse
import importlib
import os
import ssl
import sys
from inspect import iscoroutinefunction
from typing import Any

from ..handshake import Request
from ..limits import DEFAULT_LIMITS, Limits
from ..pubsub.process import close_process_hub
from ..transports.blocking import HOOKS
from ..websocket import EchoWebSocket, WebSocket
from ..workers.place import Place
from . import options, working
from .console import Failure, log_to_stderr, note, printable, say
from .serving import address_of, listen, run_until_stopped

__all__ = ["add_command"]

EPILOG = """\
The first line on standard output is `listening on ws://HOST:PORT/`. Ctrl-C and SIGTERM close
every connection with 1001.

With --workers a parent restarts a worker that dies. SIGHUP loads the app anew: new workers are up before
the old ones close their connections. GET /healthz answers 200, and 503 while they are closed.

exit status:
  0  ended by Ctrl-C or SIGTERM
  1  could not start: the app, the certificate or the port
  2  wrong usage
"""


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="serve a WebSocket class",
        description="Serve a WebSocket class on every path, a thread for each connection; "
        "with --workers by asyncio in several processes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--app",
        metavar="MODULE:CLASS",
        default="echo",
        help="a subclass of ws4py_ng.websocket.WebSocket, importable from here; or echo (default)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=options.port, default=9000, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--certfile", help="certificate chain (PEM): serve wss://")
    parser.add_argument("--keyfile", help="its private key, if not in the same file")
    parser.add_argument(
        "--ping-interval",
        metavar="SECONDS",
        type=options.interval,
        default=DEFAULT_LIMITS.ping_interval,
        help="time between two Pings, or off (default: %(default)g)",
    )
    parser.add_argument(
        "--origin",
        metavar="ORIGIN",
        type=options.origin,
        action="append",
        default=[],
        help="let pages of this web site in, such as https://example.com, or '*' for all; may be repeated. "
        "Programs, which send no Origin, are always let in",
    )
    options.add_common(parser)
    working.add_options(parser)
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    if arguments.keyfile and not arguments.certfile:
        arguments.parser.error("--keyfile without --certfile")
    working.check_options(arguments)
    capture = options.capture_of(arguments)
    log_to_stderr(arguments.verbose)
    context = _tls(arguments.certfile, arguments.keyfile) if arguments.certfile else None
    limits = Limits(max_message_size=arguments.max_message_size, ping_interval=arguments.ping_interval)
    scheme = "ws" if context is None else "wss"
    place = Place.take()
    if arguments.workers is not None and place is None:
        return working.supervise(arguments, scheme, context, limits)
    working.join_bus(arguments.bus, place)
    handler = find_app(arguments.app, may_be_async=place is not None)
    if arguments.tracing:
        handler = working.trace(handler)
    settings: dict[str, Any] = {
        "ssl_context": context,
        "origins": arguments.origin,
        "deflate": not arguments.no_deflate,
        "limits": limits,
        "process_request": _log_request if arguments.verbose else None,
        "capture": capture,
    }
    if place is not None:
        return working.work(arguments, place, handler, settings)
    server = listen(handler, arguments.host, arguments.port, **settings)
    status = run_until_stopped(server, lambda: say(f"listening on {scheme}://{address_of(server, arguments.host)}/"))
    close_process_hub()
    return status


def find_app(name: str, may_be_async: bool = False) -> type[WebSocket]:
    """Import ``module:Class``; raises Failure for what cannot be served.

    An error in the module itself is its author's, who needs the traceback.
    """
    if name == "echo":
        return EchoWebSocket
    module_name, colon, path = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise Failure(f"--app {name!r}, expected 'module:Class' or 'echo'")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise Failure(f"--app {name!r}: there is no module {error.name!r}, here or installed") from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise Failure(f"--app {name!r}: {module_name!r} has no {path!r}") from error
    if not isinstance(found, type) or not issubclass(found, WebSocket):
        raise Failure(f"--app {name!r} is no subclass of ws4py_ng.websocket.WebSocket")
    for hook in HOOKS:
        if iscoroutinefunction(getattr(found, hook)) and not may_be_async:
            way_out = "make it a plain function, or serve it by --workers 1"
            raise Failure(f"--app {name!r}: {hook} is async, but here are threads: {way_out}")
    return found


def _tls(certfile: str, keyfile: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in filter(None, (certfile, keyfile)):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise Failure(f"cannot read {path}: {error.strerror}") from error
    try:
        context.load_cert_chain(certfile, keyfile)
    except ssl.SSLError as error:
        files = f"{certfile} and {keyfile}" if keyfile else certfile
        raise Failure(
            f"{files}: no PEM certificate with its private key ({error.reason or error}); see --certfile, --keyfile"
        ) from error
    return context


def _log_request(request: Request) -> None:
    note(f"{request.method} {printable(request.target)}")
