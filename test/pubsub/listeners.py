"""Members that read what they are sent as it comes, in whatever thread it is sent by."""

from __future__ import annotations

import threading
from typing import Any

from test.many import eventually
from ws4py_ng.endpoint import Endpoint
from ws4py_ng.pubsub import Hub
from ws4py_ng.shared import SharedMessage
from ws4py_ng.streaming import Stream
from ws4py_ng.transports.memory import Clock, MemoryTransport

__all__ = ["Listener"]


class Listener(Endpoint):
    """Join a topic; ``got`` is what came. Its peer has everything as soon as it is sent."""

    def __init__(self, hub: Hub, topic: str, **options: Any) -> None:
        super().__init__(Stream())
        self.got: list[str | bytes] = []
        self.topic = topic
        self._decoder = Stream(expect_masking=False)
        self._reading = threading.Lock()
        _Wire(self)
        hub.subscribe(self, topic, **options)

    def read(self) -> None:
        """Take what was sent."""
        with self._reading:
            self._decoder._reader.feed(self.bytes_to_send())
            while (message := self._decoder.try_message()) is not None:
                self.got.append(message.data.decode() if message.opcode == 1 else message.data)

    def warm_up(self, hub: Hub, *others: Listener, keep: bool = False) -> None:
        """Wait until what a hub publishes comes here and to others, and forget that; what came before, unless kept."""

        def is_there() -> bool:
            hub.publish(self.topic, "warm up")
            return all(any("warm up" in str(each) for each in listener.got) for listener in (self, *others))

        assert eventually(is_there)
        number = 0

        def is_quiet() -> bool:
            nonlocal number
            number += 1
            hub.publish(self.topic, f"warm up {number}")
            return eventually(
                lambda: all(
                    listener.got and str(listener.got[-1]).endswith(f"warm up {number}") for listener in everybody
                )
            )

        everybody = {self, *others}
        assert eventually(lambda: 0 == hub.status.bus.queued)  # else the next may be refused
        assert is_quiet()
        for listener in everybody:
            listener.got[:] = [each for each in listener.got if keep and "warm up" not in str(each)]


class _Wire(MemoryTransport):
    def __init__(self, listener: Listener) -> None:
        super().__init__(listener, Clock())

    def post(self, sender: Any, message: SharedMessage) -> bool:
        taken = super().post(sender, message)
        sender.read()
        return taken
