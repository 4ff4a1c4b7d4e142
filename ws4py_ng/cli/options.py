"""Values of options, checked while the command line is read: what is wrong is exit status 2."""

from __future__ import annotations

import argparse
import ssl

from ..capture import Capture
from ..capture.redaction import SECRET
from ..client.tls import client_context
from ..handshake import Headers
from ..handshake.headers import checked_tokens
from ..handshake.origin import check_origins
from ..limits import DEFAULT_LIMITS, LONGEST_TIME
from .console import Failure

__all__ = [
    "add_common",
    "add_secrets",
    "add_trust",
    "capture_of",
    "header",
    "interval",
    "number",
    "origin",
    "place",
    "port",
    "seconds",
    "secrets_of",
    "size",
    "tls_of",
    "token",
]

MAX_PORT = 65535


def port(text: str) -> int:
    """Read a port to listen on; 0 is any free one."""
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number from 0 (any free port) to {MAX_PORT}")
    return int(text)


def size(text: str) -> int:
    """Read a number of bytes."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number of bytes, 1 or more")
    return int(text)


def number(text: str) -> int:
    """Read how many."""
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number, 1 or more")
    return int(text)


def place(text: str) -> int:
    """Read which one, from 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number, from 0")
    return int(text)


def seconds(text: str) -> float:
    """Read a time; 0 is at once."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LONGEST_TIME:
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds, 0 or more, at most {LONGEST_TIME}")
    return found


def interval(text: str) -> float | None:
    """Read a time in seconds; ``off`` is None."""
    if text == "off":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIME:
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds, more than 0, at most {LONGEST_TIME}, or 'off'")
    return seconds


def header(text: str) -> tuple[str, str]:
    """Read ``Name: value``."""
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r}, expected 'Name: value'")
    try:
        return Headers([(name.strip(), value)]).items()[0]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def token(text: str) -> str:
    """Read the name of a subprotocol."""
    try:
        return checked_tokens([text], "--protocol")[0]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def origin(text: str) -> str:
    """Read a web site: ``https://example.com``, or ``*``."""
    try:
        check_origins([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what servers and clients have in common."""
    parser.add_argument(
        "--max-message-size",
        metavar="BYTES",
        type=size,
        default=DEFAULT_LIMITS.max_message_size,
        help="longest message to receive; more is answered by Close 1009 (default: %(default)s)",
    )
    parser.add_argument("--no-deflate", action="store_true", help="no compression (permessage-deflate)")
    parser.add_argument("--verbose", action="store_true", help="log what happens, on standard error")
    parser.add_argument(
        "--capture",
        metavar="FILE",
        help="record each connection: into a .wscap, a .wscap.gz, or a directory/ with a file for each",
    )
    add_secrets(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add whom to trust."""
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument("--ca-file", metavar="FILE", help="trust the authorities in this file (PEM), not the system's")
    trust.add_argument("--insecure", action="store_true", help="trust whoever answers (wss://)")


def tls_of(arguments: argparse.Namespace) -> ssl.SSLContext:
    """Make a context for who is trusted; raises Failure for a file that names nobody."""
    ca_file: str | None = arguments.ca_file
    try:
        return client_context({"cert_reqs": ssl.CERT_NONE} if arguments.insecure else {"ca_certs": ca_file})
    except ssl.SSLError as error:
        raise Failure(f"--ca-file {ca_file}: no PEM certificate in it") from error
    except OSError as error:
        raise Failure(f"cannot read --ca-file {ca_file}: {error.strerror}") from error


def add_secrets(parser: argparse.ArgumentParser) -> None:
    """Add what a recording, or what is shown of one, has of secrets."""
    parser.add_argument(
        "--redact",
        metavar="NAME",
        action="append",
        default=[],
        help="put asterisks for the values of this header or query parameter; may be repeated",
    )
    parser.add_argument("--keep-secrets", action="store_true", help="leave Authorization and cookies as they are")


def secrets_of(arguments: argparse.Namespace) -> list[str]:
    """Return the names whose values are secret."""
    return [] if arguments.keep_secrets else [*SECRET, *arguments.redact]


def capture_of(arguments: argparse.Namespace) -> Capture | None:
    """Say where and how to record; None asks the environment."""
    if arguments.capture is not None:
        try:
            return Capture(arguments.capture, redact=arguments.redact, keep_secrets=arguments.keep_secrets)
        except ValueError as error:
            arguments.parser.error(str(error))
    if arguments.redact or arguments.keep_secrets:
        arguments.parser.error(f"--{'redact' if arguments.redact else 'keep-secrets'} goes with --capture")
    return None
