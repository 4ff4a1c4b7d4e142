"""The parent's side of one worker: its process, and the line to it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from time import monotonic
from typing import Any

from ..metrics import Figures
from ..pubsub.relay import Relay
from .control import Control
from .place import Place

__all__ = ["Child"]

# Seconds in which a worker says what it has counted.
PATIENCE = 2.0

_ids = count(1)


class Child:
    """Watch one worker; made by `start`. ``ready`` is set when it accepts, ``gone`` when it has ended."""

    def __init__(self, slot: int, process: asyncio.subprocess.Process, control: Control) -> None:
        self.slot = slot
        self.process = process
        self.control = control
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self.is_leaving = False
        self.last: Figures | None = None
        self.on_ask: Callable[[Child, int], None] | None = None
        self._begun = monotonic()
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch())]

    @classmethod
    async def start(
        cls, slot: int, command: Sequence[str], listeners: list[list[socket.socket]], relay: Relay
    ) -> Child:
        """Start a worker's process; it inherits the listening sockets and the ends of two pairs."""
        control, their_control = socket.socketpair()
        bus, their_bus = socket.socketpair()
        numbers = [[sock.fileno() for sock in found] for found in listeners]
        place = Place(slot, their_control.fileno(), their_bus.fileno(), numbers)
        inherited = {place.control, place.bus, *(number for found in numbers for number in found)}
        with their_control, their_bus:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=subprocess.DEVNULL,
                    pass_fds=tuple(inherited),
                    env=place.environment(),
                    process_group=0,  # Ctrl-C is the parent's
                )
            except BaseException:
                control.close()
                bus.close()
                raise
        await relay.add(bus)
        return cls(slot, process, await Control.open(control))

    @property
    def name(self) -> str:
        """What the log calls it."""
        return f"worker {self.slot} (pid {self.process.pid})"

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return monotonic() - self._begun

    @property
    def end(self) -> str:
        """How it has ended."""
        status = self.process.returncode or 0
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    async def wait_ready(self, timeout: float) -> bool:
        """Wait until it accepts; False if it ends before, or takes too long."""
        waits = [asyncio.create_task(event.wait()) for event in (self.ready, self.gone)]
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        return self.ready.is_set() and not self.gone.is_set()

    def leave(self) -> None:
        """Tell it to close all connections and end; one that is not up yet is killed."""
        self.is_leaving = True
        if self.ready.is_set():
            self.control.send("drain")
        else:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self.process.kill()

    async def wait_gone(self, bound: float) -> bool:
        """Wait until it has ended; kill it after so many seconds, and say False."""
        try:
            await asyncio.wait_for(self.gone.wait(), bound)
        except TimeoutError:
            self.kill()
            await self.gone.wait()
            return False
        return True

    async def report(self) -> Figures | None:
        """Ask what it has counted; what it said the last time if it does not answer."""
        if self.ready.is_set() and not self.gone.is_set():
            number = next(_ids)
            asked = self._asked[number] = asyncio.get_running_loop().create_future()
            self.control.send("report", id=number)
            with suppress(TimeoutError):
                await asyncio.wait_for(asked, PATIENCE)
            self._asked.pop(number, None)
        return self.last

    async def _listen(self) -> None:
        async for message in self.control.messages():
            match message["verb"]:
                case "ready":
                    self.ready.set()
                case "figures" | "farewell":
                    self._take(message)
                case "ask" if self.on_ask is not None:
                    self.on_ask(self, message["id"])

    def _take(self, message: dict[str, Any]) -> None:
        if message["figures"] is not None:
            self.last = Figures(**message["figures"])
        asked = self._asked.pop(message.get("id", 0), None)
        if asked is not None and not asked.done():
            asked.set_result(None)

    async def _watch(self) -> None:
        await self.process.wait()
        await asyncio.wait([self._tasks[0]], timeout=PATIENCE)  # its last words
        self._tasks[0].cancel()
        await self.control.close()
        self.gone.set()
