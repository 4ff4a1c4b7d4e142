"""A hub keeps nothing of connections that have ended, and no copy of what waits for many.

`WS4PY_NG_FULL=1` opens and closes 20,000 connections instead of 1,000.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tracemalloc
from typing import Any

import pytest

from test.client.peers import WAIT, close_frame, request
from test.transports.fake_transport import Spy, adopt
from ws4py_ng.limits import Limits
from ws4py_ng.pubsub import Hub
from ws4py_ng.pubsub.hub import MIB
from ws4py_ng.server.asyncioserver import serve
from ws4py_ng.transports.outlet import PORTION
from ws4py_ng.websocket import WebSocket

from .people import Person

# Without Pings: the moments of those that were to come stay until they have come (transports.grid), 80 at most.
QUIET = Limits(ping_interval=None)
COUNT = 20_000 if os.environ.get("WS4PY_NG_FULL") == "1" else 1_000
BATCH = 100


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def visit(port: int, how: int, leaves: bool) -> None:
    """Connect and end: by a Close frame, by the end of the stream, or by a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(port=port))
    await reader.readuntil(b"\r\n\r\n")
    if leaves:
        writer.write(close_frame(1000) if how == 0 else b"")
        if how == 1:
            writer.write_eof()
        if how == 2:
            writer.transport.abort()
        else:
            while await reader.read(65536):
                pass
    writer.close()
    if how != 2:
        await writer.wait_closed()


@pytest.mark.parametrize("policy", ["close", "conflate"])
def test_connections_come_and_go_and_leave_nothing(policy: str) -> None:
    hub = Hub(policy=policy, history=2, max_idle_topics=10)

    class Member(WebSocket):
        def opened(self) -> None:
            for topic in ("news", f"own {id(self)}"):
                hub.subscribe(self, topic)

    async def main() -> tuple[Any, Any]:
        async with serve(Member, "127.0.0.1", 0, limits=QUIET) as server:

            async def batch(number: int) -> None:
                visits = [visit(server.port, (number + each) % 3, True) for each in range(BATCH)]
                publishing = [hub.publish("news", f"{number} {each}") for each in range(5)]
                await asyncio.gather(*visits)
                assert 5 == len(publishing)
                async with asyncio.timeout(WAIT):
                    while server.connections:
                        await asyncio.sleep(0)

            def look() -> tuple[int, int, int]:
                gc.collect()
                status = hub.status
                assert (0, 0, 0, 0) == (status.members, status.topics, status.subscriptions, status.pending_bytes)
                assert len(hub._topics) <= 11
                return descriptors(), len(gc.get_objects()), tracemalloc.get_traced_memory()[0]

            for number in range(3):
                await batch(number)
            before = look()
            for number in range(COUNT // BATCH):
                await batch(number)
            return before, look()

    tracemalloc.start()
    try:
        before, after = asyncio.run(main())
    finally:
        tracemalloc.stop()
    assert before[0] == after[0]
    assert after[1] - before[1] < 200
    assert after[2] - before[2] < 100_000


def test_members_in_memory_leave_no_objects() -> None:
    hub = Hub(policy="drop_oldest")

    def come_and_go() -> None:
        people = [Person() for _ in range(50)]
        for person in people:
            hub.subscribe(person.ws, "a")
        for number in range(20):
            hub.publish("a", str(number) * 50)
        for person in people[::2]:
            person.link.close()
        for person in people[1::2]:
            person.link.cut_off()

    come_and_go()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(10):
        come_and_go()
    gc.collect()
    assert 0 == hub.status.members
    assert len(gc.get_objects()) - before < 50


@pytest.mark.parametrize("size", [MIB, 4 * MIB])
def test_what_waits_for_many_is_in_memory_once(size: int) -> None:
    async def main() -> None:
        hub = Hub()
        members = [adopt(Spy(), stuck=True) for _ in range(50)]
        for _, carrier in members:
            hub.subscribe(carrier._ws, "a")
        payload = os.urandom(size)
        hub.publish("a", payload)
        hub.publish("a", b"behind it")
        for transport, carrier in members:
            # asyncio has a copy of what a transport was handed and the kernel did not take.
            assert transport.waiting <= 2 * PORTION
            carrier._ws.send("mine")
            while transport.waiting:
                transport.take()
            assert transport.sent.endswith(b"\x81\x04mine") or transport.sent.endswith(b"\x82\x09behind it")
            assert size + 10 + 6 + 11 == len(transport.sent)
            assert payload == transport.sent[10 : 10 + size]
        assert 0 == hub.status.pending_messages
        for transport, _ in members:
            transport.lose()
        assert 0 == hub.status.members

    asyncio.run(main())
