"""Run a connection from a file, read exactly as far as it goes: no socket, no byte too many.

A session never asks for more than belongs to the frame in progress, so that ``file.read(n)``
with the ``n`` that it yields stops right behind the Close frame. What follows in the file is
left for whoever reads it next; a socket that is shared after the WebSocket is the same case.

``python example/captured_file.py [FILE]``: the frames of a client, as they were on the wire.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ws4py_ng.endpoint import Ending
from ws4py_ng.messaging import BinaryMessage, TextMessage
from ws4py_ng.websocket import WebSocket

CAPTURE = Path(__file__).with_name("captured_file.bin")


class Printer(WebSocket):
    """Print what was captured."""

    def received_message(self, message: TextMessage | BinaryMessage) -> None:
        print(f"binary: {message.data.hex(' ')}" if isinstance(message, BinaryMessage) else f"text: {message.text}")


def drive(websocket: WebSocket, read: Callable[[int], bytes]) -> Ending:
    """Answer each step with what it asks for, and return how the session ended."""
    session = websocket.session()
    try:
        step = next(session)
        while isinstance(step, int):
            step = session.send(read(step))
    except StopIteration as stop:
        ending: Ending = stop.value
        return ending
    raise TypeError("This session awaits an async hook, and here is no event loop")


def main() -> None:
    """Replay the file."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CAPTURE
    with path.open("rb") as file:
        ending = drive(Printer(), file.read)
        reason = ending.reason.decode() if isinstance(ending.reason, bytes) else ending.reason
        print(f"closed: {ending.code} {reason}")
        print(f"behind it in the file: {file.read()!r}")


if __name__ == "__main__":
    main()
