"""`ws4py-ng capture`: a recording proxy, between any client and any server."""

from __future__ import annotations

import argparse
import selectors
import socket
import ssl
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from ..capture.live import family_of
from ..capture.settings import Capture, open_tap
from ..capture.untapped import AnyTap
from ..exc import HandshakeError
from ..handshake import Headers, Request, receive_request, refuse
from ..limits import Limits
from ..server.listening import BACK_OFF, Shortage
from ..uri import URI, parse_uri
from . import options
from .console import Failure, log_to_stderr, note, printable, say
from .explain import explain
from .serving import STOPS, shown_address, stops

__all__ = ["Proxy", "add_command"]

EPILOG = """\
  ws4py-ng capture ws://127.0.0.1:8000/chat --listen 9000 --output trace.wscap

Point the client to the address that is printed. Host and Origin are rewritten to those of the server,
the path is the client's, or that of the URL where the client asks for /. Authorization and cookies are
redacted in the file, not on the way; of a connection that does not become a WebSocket only the first request
and the head of its answer are recorded. Ctrl-C and SIGTERM end it; what was written until then can be read at any time:
`ws4py-ng inspect --follow trace.wscap`.
"""
READ_SIZE = 65536
HEAD_TIMEOUT = 10.0
GENEROUS = Limits(max_head_size=256 * 1024, max_line_size=64 * 1024)


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "capture",
        help="record what a client and a server say to each other",
        description="Listen, forward each connection to URL, and record both sides.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("url", metavar="URL", help="the server: ws:// or wss://")
    parser.add_argument("--output", metavar="FILE", required=True, help="a .wscap, a .wscap.gz, or a directory/")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--listen", metavar="PORT", type=options.port, default=0, help="0 for any free one (default)")
    options.add_secrets(parser)
    options.add_trust(parser)
    parser.add_argument("--verbose", action="store_true", help="log what happens, on standard error")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Record until Ctrl-C or SIGTERM."""
    log_to_stderr(arguments.verbose)
    try:
        uri = parse_uri(arguments.url)
        context = options.tls_of(arguments) if uri.secure else None
        capture = Capture(arguments.output, redact=arguments.redact, keep_secrets=arguments.keep_secrets)
        capture.check()
        listener = socket.create_server((arguments.host, arguments.listen), family=family_of(arguments.host))
    except (ValueError, OSError) as error:
        raise Failure(str(error)) from error
    _carry_all(listener, Proxy(uri, capture, context))
    return 0


def _carry_all(listener: socket.socket, proxy: Proxy) -> None:
    """Accept until Ctrl-C or SIGTERM."""
    shortage = Shortage()
    with listener, stops() as (told, _), selectors.DefaultSelector() as selector:
        say(f"listening on ws://{shown_address('', listener.getsockname())}/")
        listener.setblocking(False)
        for sock in (listener, told):
            selector.register(sock, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if told in ready and told.recv(1)[0] in STOPS:
                return
            if listener not in ready:
                continue
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                continue  # the peer has thought better of it
            except OSError as error:  # of descriptors, say; what is open goes on
                shortage.log(error)
                time.sleep(BACK_OFF)
                continue
            threading.Thread(target=proxy.serve, args=(sock, peer), daemon=True).start()


class Proxy:
    """Carry connections to one server, and record them."""

    def __init__(self, uri: URI, capture: Capture, context: ssl.SSLContext | None = None) -> None:
        self._uri = uri
        self._capture = capture
        self._context = context

    def serve(self, sock: socket.socket, peer: Any) -> None:
        """Carry one connection to its end; ``peer`` is the address that it came from."""
        tap = open_tap(self._capture, "server", "proxy", sock.getsockname(), peer, secure=self._uri.secure)
        with sock:
            try:
                sock.settimeout(HEAD_TIMEOUT)
                request, leftover = _read_request(sock, tap)
                with self._reached() as server:
                    server.sendall(self._rewritten(request).to_bytes() + leftover)
                    self._carry(sock, server, tap)
            except (OSError, HandshakeError) as error:
                if isinstance(error, HandshakeError) and error.status is not None:
                    answer = refuse(error).to_bytes()
                    tap.sent(answer)
                    with suppress(OSError):
                        sock.sendall(answer)
                tap.failed(error)
                note(f"ws4py-ng: a connection came to nothing: {printable(str(error))}")
            finally:
                tap.close()

    def _reached(self) -> Any:
        """Connect; raises what refuses the client if nobody is there."""
        try:
            return self._connect()
        except OSError as error:
            raise HandshakeError(explain(error, self._uri), HTTPStatus.BAD_GATEWAY) from error

    def _connect(self) -> Any:
        uri = self._uri
        if uri.unix_path is not None:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(uri.unix_path)
        else:
            sock = socket.create_connection((uri.host, int(uri.port or 0)), HEAD_TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if self._context is None else self._context.wrap_socket(sock, server_hostname=uri.host)

    def _rewritten(self, request: Request) -> Request:
        """Ask the server for what the client asked us for."""
        uri = self._uri
        origin = f"{'https' if uri.secure else 'http'}://{uri.host_header}"
        ours = {"host": uri.host_header, "origin": origin}
        headers = Headers((name, ours.get(name.lower(), value)) for name, value in request.headers)
        target = uri.resource if request.target == "/" else request.target
        return Request(request.method, target, headers, request.version)

    def _carry(self, client: Any, server: Any, tap: AnyTap) -> None:
        """Carry bytes both ways, each in a thread, until both sides have ended."""
        client.settimeout(None)
        server.settimeout(None)
        back = threading.Thread(target=_pump, args=(server, client, tap.sent, tap.ended), daemon=True)
        back.start()
        _pump(client, server, tap.received, lambda: tap.received(b""))
        back.join()


def _read_request(sock: socket.socket, tap: AnyTap) -> tuple[Request, bytes]:
    reading = receive_request(GENEROUS)
    next(reading)
    try:
        while True:
            data = sock.recv(READ_SIZE)
            tap.received(data)
            reading.send(data)
    except StopIteration as stop:
        request, leftover = stop.value
        return request, bytes(leftover)


def _pump(source: Any, target: Any, record: Any, end: Any) -> None:
    """Carry bytes one way; what breaks ends both."""
    try:
        while data := source.recv(READ_SIZE):
            record(data)
            target.sendall(data)
        end()
        with suppress(OSError):
            socket.socket.shutdown(target, socket.SHUT_WR)
    except OSError:
        for sock in (source, target):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
