"""The parent of the workers: it starts them, and again when they die, replaces them on SIGHUP and ends them.

While there are no workers to accept on a slot's sockets, another one does; while all are leaving the
parent itself answers, by 503.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Sequence

from ..handshake import Request, Response
from ..metrics import Figures, render
from ..pauses import Pauses
from ..pubsub.relay import Relay
from ..server.asyncioserver import serve
from ..websocket import WebSocket
from .child import Child
from .worker import health

__all__ = ["Supervisor"]

logger = logging.getLogger("ws4py_ng")

# Seconds before a worker that has died is started again, at most. One that has lived longer was well.
LONGEST_PAUSE = 10.0
# What a shell reports for a program that was ended by SIGINT: not all peers were told.
INTERRUPTED = 130
# Seconds in which a worker has to be up.
START = 60.0


class Supervisor:
    """Run ``command`` once for each slot of ``listeners`` (`listen`), with a `Place` in its environment.

    ``bound`` is how many seconds a worker may take to leave before it is killed. ``on_ready`` is
    called when all accept. SIGTERM and SIGINT end the workers, a second one at once; SIGHUP replaces
    them, if the new ones come up.
    """

    def __init__(
        self,
        command: Sequence[str],
        listeners: list[list[socket.socket]],
        *,
        bound: float,
        on_ready: Callable[[], object],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._command = command
        self._listeners = listeners
        self._shared = len(listeners) > 1 and listeners[0] is listeners[1]
        self._bound = bound
        self._on_ready = on_ready
        self._ssl_context = ssl_context
        self._relay = Relay()
        self._all: set[Child] = set()
        self._current: dict[int, Child] = {}
        self._lent: dict[int, Child] = {}
        self._retired: dict[int, Figures] = {}
        self._generation = 0
        self._stopping = asyncio.Event()
        self._in_a_hurry = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloading = False

    def run(self) -> int:
        """Serve until a signal; return the exit status: 1 if the workers did not start."""
        return asyncio.run(self._main())

    async def _main(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self._reload()))
        try:
            started = await self._start_all()
            if started is None:
                return 0 if self._stopping.is_set() else 1
            self._current = started
            for slot in started:
                self._spawn(self._keep(slot))
            self._on_ready()
            await self._stopping.wait()
            await self._leave()
            return INTERRUPTED if self._in_a_hurry else 0
        finally:
            for task in self._tasks:
                task.cancel()
            for child in self._all:
                child.kill()
            await asyncio.gather(*self._tasks, *(child.gone.wait() for child in self._all), return_exceptions=True)
            self._relay.close()
            for sock in {sock for found in self._listeners for sock in found}:
                sock.close()

    def _spawn(self, task: object) -> None:
        made: asyncio.Task[None] = asyncio.ensure_future(task)  # type: ignore[call-overload]
        self._tasks.add(made)
        made.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("The parent of the workers failed", exc_info=task.exception())
            self._stop()

    # Starting

    async def _start(self, slot: int) -> Child:
        child = await Child.start(slot, self._command, self._listeners, self._relay)
        child.on_ask = lambda asking, number: self._spawn(self._tell(asking, number))
        self._all.add(child)
        self._spawn(self._bury(child))
        return child

    async def _start_all(self) -> dict[int, Child] | None:
        """Start a worker for each slot; None, and all of them are ended, if one does not come up."""
        children: list[Child] = []
        try:
            for slot in range(len(self._listeners)):
                children.append(await self._start(slot))
        except OSError as error:
            logger.error("Worker %d cannot be started: %s", len(children), error)
        else:
            up = await asyncio.gather(*(self._is_up(child) for child in children))
            if all(up) and not self._stopping.is_set():
                return {child.slot: child for child in children}
        for child in children:
            child.is_leaving = True
            child.kill()
        await asyncio.gather(*(child.gone.wait() for child in children))
        return None

    async def _is_up(self, child: Child) -> bool:
        waits = [asyncio.create_task(child.wait_ready(START)), asyncio.create_task(self._stopping.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        return child.ready.is_set() and not child.gone.is_set()

    async def _bury(self, child: Child) -> None:
        """Keep what a worker has counted, when it has ended."""
        await child.gone.wait()
        self._all.discard(child)
        if child.last is not None:
            kept = child.last.counters()
            before = self._retired.get(child.slot)
            self._retired[child.slot] = kept if before is None else before + kept

    # Restarting

    async def _keep(self, slot: int) -> None:
        """Start the worker of a slot again, as often as it ends by itself."""
        pauses = Pauses(LONGEST_PAUSE)
        while True:
            child = self._current[slot]
            await child.gone.wait()
            if self._stopping.is_set():
                return
            if child is not self._current[slot]:
                continue  # it was replaced
            pause = pauses.after(child.age)
            logger.warning("%s %s; it is started again in %g s", child.name, child.end, pause)
            self._lend(child)
            generation = self._generation
            await asyncio.sleep(pause)
            if generation != self._generation or self._stopping.is_set():
                continue
            try:
                fresh = await self._start(slot)
            except OSError as error:
                logger.error("Worker %d cannot be started: %s", slot, error)
                continue
            is_up = await self._is_up(fresh)
            if generation != self._generation or self._stopping.is_set():
                fresh.leave()
                continue
            if not is_up:
                fresh.kill()
            self._current[slot] = fresh
            if is_up:
                logger.info("%s is up", fresh.name)
                self._give_back(slot)

    def _lend(self, dead: Child) -> None:
        """Let another worker accept on the sockets that a dead one has accepted on."""
        if self._shared:
            return
        orphans = {dead.slot, *(slot for slot, holder in self._lent.items() if holder is dead)}
        alive = [each for each in self._current.values() if each.ready.is_set() and not each.gone.is_set()]
        for slot in orphans:
            self._lent.pop(slot, None)
            if alive:
                self._lent[slot] = alive[slot % len(alive)]
                self._lent[slot].control.send("adopt", slot=slot)

    def _give_back(self, slot: int) -> None:
        holder = self._lent.pop(slot, None)
        if holder is not None:
            holder.control.send("release", slot=slot)

    # Replacing and ending

    async def _reload(self) -> None:
        """Start new workers, and when all are up let the old ones leave."""
        if self._reloading or self._stopping.is_set() or not self._current:
            return
        self._reloading = True
        try:
            fresh = await self._start_all()
            if fresh is None:
                if not self._stopping.is_set():
                    logger.error("The new workers did not come up: the old ones go on")
                return
            old, self._current = list(self._current.values()), fresh
            self._generation += 1
            self._lent.clear()
            for child in old:
                child.leave()
        finally:
            self._reloading = False
        logger.info("New workers are up, the old ones leave")
        await asyncio.gather(*(self._see_off(child) for child in old))

    async def _see_off(self, child: Child) -> None:
        if not await child.wait_gone(self._bound):
            logger.warning("%s did not end within %g s and was killed", child.name, self._bound)

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._in_a_hurry = True
            for child in self._all:
                child.kill()
        self._stopping.set()

    async def _leave(self) -> None:
        """Let all workers leave, and answer meanwhile who comes."""
        children = list(self._all)
        for child in children:
            child.leave()
        first, *rest = dict.fromkeys(sock.dup() for sock in {each for found in self._listeners for each in found})
        refusal = serve(WebSocket, sock=first, process_request=_refuse, ssl_context=self._ssl_context)
        async with refusal:
            others = refusal.listen_on(rest)
            await asyncio.gather(*(self._see_off(child) for child in children))
            others.stop()
        for sock in rest:
            sock.close()

    # What is asked

    async def _tell(self, asking: Child, number: int) -> None:
        """Answer a worker that was asked for the figures of all."""
        children = sorted(self._all, key=lambda child: child.slot)
        reports = await asyncio.gather(*(child.report() for child in children))
        slots = dict(self._retired)
        for child, figures in zip(children, reports, strict=True):
            # Who was buried meanwhile is among the retired.
            if figures is not None and child in self._all:
                before = slots.get(child.slot)
                slots[child.slot] = figures if before is None else before + figures
        text = render({str(slot): figures for slot, figures in sorted(slots.items())})
        asking.control.send("metrics", id=number, text=text)


def _refuse(request: Request) -> Response:
    return health(False)
