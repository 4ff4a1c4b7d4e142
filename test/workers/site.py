"""What the workers of these tests serve: members of a topic, who are told the worker's pid and may say what to publish.

`pid N` is the first message. `steady FIRST COUNT` publishes numbers, a thousand a second, by a thread.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from ws4py_ng.pubsub import process_hub
from ws4py_ng.websocket import WebSocket

hub = process_hub()


def publish_steadily(first: int, count: int) -> None:
    """Publish numbers."""
    pause = threading.Event()
    for number in range(first, first + count):
        hub.publish("news", b"%d" % number)
        pause.wait(0.001)


class Member(WebSocket):
    """Be in the topic, and do as the peer says; hooks are async, as workers allow."""

    async def opened(self) -> None:
        await self.send(f"pid {os.getpid()}")
        hub.subscribe(self, "news")

    async def received_message(self, message: Any) -> None:
        verb, *numbers = str(message).split()
        if verb == "steady":
            threading.Thread(target=publish_steadily, args=[*map(int, numbers)], daemon=True).start()
        elif verb == "exit":
            os._exit(int(numbers[0]))
        else:
            await self.send(str(message))
