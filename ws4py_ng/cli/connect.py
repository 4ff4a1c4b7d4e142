"""`ws4py-ng connect`: talk to a server, at a terminal or in a pipeline."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..codes import ABNORMAL_CLOSURE, GOING_AWAY, NO_STATUS_RECEIVED, NORMAL_CLOSURE, describe
from ..exc import HandshakeError
from ..limits import Limits
from ..uri import URI, parse_uri
from . import options
from .console import Failure, log_to_stderr, note, printable
from .conversation import Conversation
from .explain import explain
from .pipeline import Lines, send_input
from .terminal import Terminal, converse

__all__ = ["add_command"]

EPILOG = """\
At a terminal, each line you type is a message; what comes is printed above it, behind a `<`.
Ctrl-D closes with 1000 and waits for the server's answer, and so does Ctrl-C; a second Ctrl-C
does not wait.

Otherwise each line of standard input is sent as a message, and each message is printed on a line
of standard output, binary ones in hex. At the end of the input it waits for the answers: until
the server has answered a Ping, which it got behind all lines, and has then been silent for half
a second, 10 s at most. Then it closes with 1000. To stay longer, keep the input open:

  (echo subscribe; sleep 60) | ws4py-ng connect ws://localhost:9000/

exit status:
  0  closed with 1000, 1001 or no code
  1  no connection: bad URL, nobody there, refused, not trusted, no answer
  2  wrong usage
  3  closed with an error code, without a closing handshake, or before all input was sent
"""
ABNORMAL = 3
# How a session ends whose peer is gone, in ws4py's words.
NO_CLOSE_FRAME = (ABNORMAL_CLOSURE, "Going away")
LOST = "the connection broke off"
FINE = frozenset({NORMAL_CLOSURE, GOING_AWAY, NO_STATUS_RECEIVED})


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "connect",
        help="talk to a server: type lines, see messages",
        description="Connect to a WebSocket server, send lines and print messages.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("url", metavar="URL", help="ws://, wss://, ws+unix:// or wss+unix://")
    parser.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        type=options.header,
        action="append",
        default=[],
        help="send this header too; may be repeated",
    )
    parser.add_argument(
        "--protocol",
        metavar="NAME",
        type=options.token,
        action="append",
        default=[],
        help="offer this subprotocol; may be repeated",
    )
    options.add_trust(parser)
    parser.add_argument("--binary", action="store_true", help="send lines as binary messages")
    options.add_common(parser)
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Connect, converse, and tell how it ended."""
    log_to_stderr(arguments.verbose)
    try:
        uri = parse_uri(arguments.url)
    except ValueError as error:
        raise Failure(f"bad URL: {error}") from error
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    display = Terminal() if interactive else Lines()
    client = connected(arguments, uri, display)
    if interactive or arguments.verbose:
        note(_greeting(client, uri) + ("; Ctrl-D closes" if interactive else ""))
    if isinstance(display, Terminal):
        converse(client, display, binary=arguments.binary)
    else:
        send_input(client, sys.stdin.fileno(), binary=arguments.binary)
    return _report(client, interactive or arguments.verbose)


def connected(arguments: argparse.Namespace, uri: URI, display: Terminal | Lines) -> Conversation:
    """Connect; raises Failure with one line that says what is wrong, and the way out."""
    try:
        client = Conversation(
            arguments.url,
            display,
            protocols=arguments.protocol,
            headers=arguments.header,
            ssl_context=options.tls_of(arguments) if uri.secure else None,
            deflate=not arguments.no_deflate,
            limits=Limits(max_message_size=arguments.max_message_size),
            capture=options.capture_of(arguments),
        )
        client.connect()
    except (HandshakeError, OSError, ValueError) as error:
        raise Failure(explain(error, uri)) from error
    return client


def _greeting(client: Conversation, uri: URI) -> str:
    protocols = [b"subprotocol " + name for name in client.protocols or ()]
    agreed = b", ".join([*protocols, *(client.extensions or ())]).decode("latin-1")
    address = uri.unix_path or uri.host_header + uri.resource
    return f"connected to {uri.scheme}://{printable(address)}{f' ({printable(agreed)})' if agreed else ''}"


def _report(client: Conversation, always: bool) -> int:
    fine = client.ending_code in FINE and not client.trouble
    if always or not fine:
        reason = LOST if (client.ending_code, client.ending_reason) == NO_CLOSE_FRAME else client.ending_reason
        note(f"closed: {describe(client.ending_code)}{f': {printable(reason)}' if reason else ''}")
    if client.trouble:
        note(f"ws4py-ng: {client.trouble}")
    return 0 if fine else ABNORMAL
