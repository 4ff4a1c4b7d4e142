"""Values of options, checked while the command line is read: what is wrong is exit status 2."""

from __future__ import annotations

import argparse

from ..handshake import Headers
from ..handshake.headers import checked_tokens
from ..handshake.origin import check_origins
from ..limits import DEFAULT_LIMITS

__all__ = ["add_common", "header", "interval", "number", "origin", "port", "seconds", "size", "token"]

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


def seconds(text: str) -> float:
    """Read a time; 0 is at once."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds, 0 or more")
    return found


def interval(text: str) -> float | None:
    """Read a time in seconds; ``off`` is None."""
    if text == "off":
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds, more than 0, or 'off'")
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
