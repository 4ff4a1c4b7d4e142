"""What the workers of these tests serve: members of a topic, who are told the worker's pid and may say what to publish.

`pid N` is the first message. `steady FIRST COUNT` publishes numbers, a thousand a second, by a thread. `present` is
answered by the workers' pids, each as often as it has a member.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from typing import Any

from ws4py_ng.pubsub import process_hub
from ws4py_ng.websocket import WebSocket

# Short, as a worker that is killed is to be noticed soon.
hub = process_hub(presence_interval=0.5)


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
        hub.subscribe(self, "news", info=os.getpid())

    async def received_message(self, message: Any) -> None:
        verb, *numbers = str(message).split()
        if verb == "steady":
            threading.Thread(target=publish_steadily, args=[*map(int, numbers)], daemon=True).start()
        elif verb == "present":
            found = Counter(each.info for each in hub.presence("news"))
            await self.send(f"present {json.dumps(found)}")
        elif verb == "exit":
            os._exit(int(numbers[0]))
        else:
            await self.send(str(message))
