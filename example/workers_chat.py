"""A chat on every core: `ws4py-ng serve --app workers_chat:Chat --workers 4`, in this directory.

Whoever connects, to whichever worker, is sent what all others say, and the last things that were said.
"""

from __future__ import annotations

from typing import Any

from ws4py_ng.pubsub import process_hub
from ws4py_ng.websocket import WebSocket

hub = process_hub(history=5)


class Chat(WebSocket):
    """Pass on what is said."""

    def opened(self) -> None:
        hub.subscribe(self, "lobby")

    def received_message(self, message: Any) -> None:
        hub.publish("lobby", message, exclude=self)
