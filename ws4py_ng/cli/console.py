"""What the commands say: lines on standard output, complaints on standard error."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from contextlib import suppress

__all__ = ["Failure", "accept_any_text", "complain", "log_to_stderr", "note", "printable", "say", "silence_stdout"]

# What moves the cursor, changes colours or turns text around; a line feed and a tab do no harm.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Failure(Exception):
    """End the command with one line on standard error, and exit status 1."""


def accept_any_text() -> None:
    """Let standard output show what its encoding lacks as \\x.. or \\u...., as standard error does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Print a line on standard output, at once; silently nothing if nobody reads it."""
    if sys.stdout is None:  # Python's word for a descriptor that was closed before it began
        raise Failure("cannot write to standard output: it is closed")
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        silence_stdout()
        raise Failure(f"cannot write to standard output: {error.strerror}") from error


def note(line: str) -> None:
    """Print a line on standard error."""
    with suppress(BrokenPipeError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def complain(line: str) -> None:
    """Print what is wrong, one line, on standard error."""
    note(f"ws4py-ng: {printable(' '.join(line.split()))}")


def silence_stdout() -> None:
    """Let what is written to standard output from now on go nowhere.

    Python writes what is left in its buffer when it ends, and would complain then.
    """
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def printable(text: str) -> str:
    """Show what could command a terminal as \\x.. or \\u...., for text that a peer sent."""
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def log_to_stderr(verbose: bool) -> None:
    """Let the package's log go to standard error: warnings, or everything."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
