"""What a hub costs: ``python -m test.pubsub.measure``.

The CPU time of one publish to 2,000 members on asyncio, over that of a loop that writes the same frame to the
same transports. `test.bench.scaling` has what 10,000 connections cost.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

from test.client.peers import frame, request
from ws4py_ng._core import encode_frame
from ws4py_ng.pubsub import Hub
from ws4py_ng.server.asyncioserver import serve
from ws4py_ng.websocket import WebSocket

ROUNDS = 31

hub = Hub()
members: list[Any] = []


class Member(WebSocket):
    """Be in the one topic."""

    def opened(self) -> None:
        hub.subscribe(self, "news")
        members.append(self)


def peers(port: int, count: int) -> None:
    """Connect so many peers, say how many bytes came when told to, answer pings."""
    selector = selectors.DefaultSelector()
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.sendall(request(port=port))
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ, [0])
    selector.register(sys.stdin, selectors.EVENT_READ)
    pong = frame(10)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                least = int(sys.stdin.readline() or sys.exit())
                reached = sum(each.data[0] >= least for each in selector.get_map().values() if each.data)
                sys.stdout.write(f"{reached}\n")
                sys.stdout.flush()
                continue
            sock: Any = key.fileobj
            data = sock.recv(1 << 20)
            if not data:
                selector.unregister(sock)
                continue
            key.data[0] += len(data)
            if data[0] == 0x89:
                sock.send(pong)


async def connected(port: int, count: int) -> subprocess.Popen[str]:
    """Start the peers, and wait until all have come."""
    command = [sys.executable, "-m", "test.pubsub.measure", "peers", str(port), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while len(members) < count:
        await asyncio.sleep(0.05)
    return process


async def cost(size: int, count: int = 2000) -> None:
    """Compare a publish with a loop of writes."""
    async with serve(Member, "127.0.0.1", 0) as server:
        process = await connected(server.port, count)
        payload = os.urandom(size)
        same = encode_frame(0x82, payload, None)
        transports = [ws._transport._transport for ws in members]
        took: dict[str, list[float]] = {"write": [], "publish": []}
        for _ in range(ROUNDS):
            for name, times in took.items():
                await asyncio.sleep(0.1)
                begun = time.process_time()
                if name == "write":
                    for transport in transports:
                        transport.write(same)
                else:
                    hub.publish("news", payload)
                times.append(time.process_time() - begun)
        median = {name: statistics.median(times) for name, times in took.items()}
        each = {name: f"{value / count * 1e6:.2f}" for name, value in median.items()}
        ratio = median["publish"] / median["write"]
        print(f"{size:>6} bytes: write {each['write']} us, publish {each['publish']} us a member, ratio {ratio:.2f}")
        process.kill()
        process.wait()
    members.clear()


if __name__ == "__main__":
    if sys.argv[1:2] == ["peers"]:
        peers(int(sys.argv[2]), int(sys.argv[3]))
    else:
        for bytes_each in (100, 1000, 16_000):
            asyncio.run(cost(bytes_each))
