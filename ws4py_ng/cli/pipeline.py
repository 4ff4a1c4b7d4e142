"""`connect` in a pipeline: lines of standard input out, messages in on standard output."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator

from ..exc import ConnectionClosed
from ..messaging import BinaryMessage, TextMessage
from .console import printable, silence_stdout
from .conversation import Conversation

__all__ = ["Lines", "send_input"]

READ_SIZE = 64 * 1024
POLL = 0.1


class Lines:
    """Print each message on a line of standard output, binary ones in hex."""

    def __init__(self) -> None:
        self._to_terminal = sys.stdout.isatty()

    def show(self, message: TextMessage | BinaryMessage) -> None:
        """Print it, at once; text as the bytes that came, except at a terminal."""
        if isinstance(message, BinaryMessage):
            line = message.data.hex().encode("ascii")
        elif self._to_terminal:
            line = printable(message.text).encode(sys.stdout.encoding, "backslashreplace")
        else:
            line = message.data
        try:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
        except OSError:
            silence_stdout()
            raise

    def end(self) -> None:
        """Do nothing: there is no prompt to leave."""


def send_input(client: Conversation, fd: int, *, binary: bool) -> None:
    """Send the lines of a file, and stay until the connection has ended."""
    sender = _Sender(client, fd, binary)
    try:
        sender.start()  # it may have been answered before this returns: Ctrl-C counts from here
        client.run_forever()
    except KeyboardInterrupt:
        client.leave()
        client.run_forever()
    # It may be about to notice that it cannot send. In a read it may be for ever.
    while sender.is_alive() and not sender.reading:
        sender.join(POLL)


class _Sender(threading.Thread):
    """Read and send lines: a thread, because reading is not interrupted when the server closes.

    It is left behind then, so that it may hold no lock of sys.stdin: it reads the descriptor.
    """

    def __init__(self, client: Conversation, fd: int, binary: bool) -> None:
        super().__init__(name="input", daemon=True)
        self.client = client
        self.fd = fd
        self.binary = binary
        self.reading = False

    def run(self) -> None:
        """Send all lines, then finish."""
        client = self.client
        number = 1
        try:
            for line in read_lines(self._read):
                client.send(line, self.binary)
                number += 1
        except ConnectionClosed:
            if not client.leaving:
                client.trouble = f"closed before line {number} of standard input was sent"
        except ValueError:
            client.trouble = f"line {number} of standard input is not UTF-8 text: send it by --binary"
        except OSError as error:
            client.trouble = f"cannot read standard input: {error.strerror}"
        client.finish()

    def _read(self) -> bytes:
        self.reading = True
        try:
            return os.read(self.fd, READ_SIZE)
        finally:
            self.reading = False


def read_lines(read: Callable[[], bytes]) -> Iterator[bytes]:
    """Cut what is read into lines, without their ends; the last one may lack its own."""
    pieces: list[bytes] = []
    while data := read():
        *complete, rest = data.split(b"\n")
        for line in complete:
            pieces.append(line)
            yield b"".join(pieces).removesuffix(b"\r")
            pieces.clear()
        if rest:
            pieces.append(rest)
    if pieces:
        yield b"".join(pieces)
