"""`connect` at a terminal: type below, messages appear above.

Readline, where Python has it, prints the prompt and edits the line; a message that comes
meanwhile is printed in the line's place, and the line again below it.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from ..codes import NORMAL_CLOSURE
from ..exc import ConnectionClosed
from ..messaging import BinaryMessage, TextMessage
from .console import note, printable
from .conversation import Conversation

__all__ = ["Terminal", "converse"]

PROMPT = "> "
MARK = "< "
INSISTENCE = 0.2
# Bytes of a binary message that are shown.
MAX_HEX = 64


class Terminal:
    """Read lines in the main thread, and show messages from any other."""

    def __init__(self) -> None:
        self._readline: Any = None
        with suppress(ImportError):
            self._readline = importlib.import_module("readline")
        # Held by whoever writes; from before a prompt is printed until it stands there.
        self._lock = threading.RLock()
        self._asking = False
        self._prompted = False
        self._left = threading.Event()
        self._over = False
        self._knows_ansi = os.environ.get("TERM", "dumb") != "dumb"

    def read_line(self) -> str:
        """Ask for a line; raises EOFError at Ctrl-D, at Ctrl-C and when the connection ends."""
        set_hook = getattr(self._readline, "set_pre_input_hook", None)
        self._left.clear()
        self._asking = True
        try:
            self._lock.acquire()
            if self._over:
                raise EOFError
            if set_hook is not None:
                set_hook(self._note_prompt)
                return input(PROMPT)
            sys.stdout.write(PROMPT)
            sys.stdout.flush()
            self._note_prompt()
            return input()
        except KeyboardInterrupt:
            raise EOFError from None
        finally:
            self.leave()

    def _note_prompt(self) -> None:
        """Be called when the prompt stands there, before a key is read."""
        self._prompted = True
        self._lock.release()

    def leave(self) -> None:
        """Take note that no line is being typed any more; twice is no harm."""
        self._asking = self._prompted = False
        self._left.set()
        with suppress(RuntimeError):  # it is not held any more
            self._lock.release()

    def show(self, message: TextMessage | BinaryMessage) -> None:
        """Print a message above the line that is being typed."""
        text = _binary(message.data) if isinstance(message, BinaryMessage) else _text(message.text)
        self.print(MARK + text)

    def print(self, text: str) -> None:
        """Print lines above the line that is being typed."""
        with self._lock:
            typed = ""
            if self._prompted:
                typed = PROMPT + (self._readline.get_line_buffer() if self._readline else "")
                text = self._erase(typed) + text
            sys.stdout.write(f"{text}\n{typed}")
            sys.stdout.flush()

    def end(self) -> None:
        """Wake up `read_line`: the connection has ended."""
        with self._lock:
            self._over = True
            if self._asking:
                self._interrupt()

    def heed_signals(self) -> None:
        """Let Ctrl-C interrupt `read_line`, whenever it comes.

        Python forgets a signal that comes just before it waits for a key, or while it calls
        `_note_prompt`. Each is therefore reported to a thread, which sends it again if need be.
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if hasattr(signal, "pthread_kill"):
            told, tell = os.pipe()
            os.set_blocking(tell, False)
            signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
            threading.Thread(target=self._insist, args=(told,), name="signals", daemon=True).start()

    def _insist(self, told: int) -> None:
        while os.read(told, 1):
            while self._asking and not self._left.wait(INSISTENCE):
                self._interrupt()

    def _interrupt(self) -> None:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _erase(self, typed: str) -> str:
        """Return what takes the prompt and the typed line away, over all rows that they fill."""
        if not self._knows_ansi:
            return "\n"
        rows = len(typed) // shutil.get_terminal_size().columns
        return "\r" + (f"\x1b[{rows}A" if rows else "") + "\x1b[J"


def converse(client: Conversation, terminal: Terminal, *, binary: bool) -> None:
    """Send what is typed until Ctrl-D, Ctrl-C or the server's Close; then see it to its end."""
    terminal.heed_signals()
    try:
        while not client.over:
            try:
                line = terminal.read_line()
                client.send(line.encode(), binary)
            except UnicodeError:
                terminal.print("not sent: that was not UTF-8")
    except (EOFError, ConnectionClosed):
        pass
    except KeyboardInterrupt:  # between two lines
        terminal.leave()
    client.close(NORMAL_CLOSURE)
    note("")
    client.run_forever()


def _text(text: str) -> str:
    """Show text, further lines indented below the first."""
    return printable(text).replace("\n", "\n" + " " * len(MARK))


def _binary(data: bytes) -> str:
    more = " ..." if len(data) > MAX_HEX else ""
    return f"binary, {len(data)} byte{'' if len(data) == 1 else 's'}: {data[:MAX_HEX].hex(' ')}{more}"
