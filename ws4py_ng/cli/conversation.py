"""The client behind `connect`: it shows what comes, and notes what its sender waits for."""

from __future__ import annotations

from threading import Condition
from time import monotonic
from typing import Any, Protocol

from ..client.threadedclient import WebSocketClient
from ..codes import ABNORMAL_CLOSURE, NORMAL_CLOSURE
from ..exc import ConnectionClosed
from ..messaging import BinaryMessage, PongControlMessage, TextMessage

__all__ = ["Conversation", "Display"]

# Behind the last line: the Pong to it shows that the server has read everything before.
LAST_PING = b"end of input"
# A server that answers from another task may pong before it answers; it is given that long.
QUIET = 0.5
PATIENCE = 10.0


class Display(Protocol):
    """Say what a Conversation needs of whatever shows messages."""

    def show(self, message: TextMessage | BinaryMessage) -> None:
        """Show a message; raises OSError if nobody can see it."""

    def end(self) -> None:
        """Be called when the connection has ended."""


class Conversation(WebSocketClient):
    """Show each message on a display, and keep how it ended.

    ``trouble`` says what went wrong on our side: what was not sent, or not shown.
    """

    def __init__(self, url: str, display: Display, **settings: Any) -> None:
        super().__init__(url, **settings)
        self.display = display
        self.ending_code = ABNORMAL_CLOSURE
        self.ending_reason = ""
        self.trouble = ""
        self.over = False
        self.leaving = False
        self._changed = Condition()
        self._heard = 0
        self._answered = False

    # Hooks, in the client's thread

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        """Show it."""
        if not self.leaving:
            try:
                self.display.show(message)
            except BrokenPipeError:
                self.leave()
            except OSError as error:
                self.trouble = f"cannot write to standard output: {error.strerror}"
                self.leave()
        self._note_sound()

    def ponged(self, pong: PongControlMessage) -> None:
        """Take note if it answers the last Ping."""
        if pong.data == LAST_PING:
            self._answered = True
            self._note_sound()

    def closed(self, code: int, reason: bytes | str | None = None) -> None:
        """Keep code and reason."""
        with self._changed:
            self.ending_code = code
            self.ending_reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason or ""
            self.over = True
            self._changed.notify_all()
        self.display.end()

    def _note_sound(self) -> None:
        with self._changed:
            self._heard += 1
            self._changed.notify_all()

    # For whoever sends

    def leave(self) -> None:
        """Close with 1000 although there may be more to send, or to show."""
        self.leaving = True
        self.close(NORMAL_CLOSURE)

    def finish(self) -> None:
        """Wait for the answers to what was sent, then close with 1000.

        The Pong may take as long as messages come: a long backlog is no reason to drop it.
        Behind it, a server that never stops talking is cut off.
        """
        heard = self._heard
        try:
            self.ping(LAST_PING)
        except ConnectionClosed:
            return
        while not self._answered and self._hears_more(heard, PATIENCE):
            heard = self._heard
        deadline = monotonic() + PATIENCE
        while (left := deadline - monotonic()) > 0 and self._hears_more(heard, min(QUIET, left)):
            heard = self._heard
        self.close(NORMAL_CLOSURE)

    def _hears_more(self, heard: int, patience: float) -> bool:
        """Wait for the next sound; False if none came in time, or the connection is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self.over or self._heard != heard, patience) and not self.over
