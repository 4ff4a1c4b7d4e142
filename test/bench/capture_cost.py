"""What capturing costs a server: CPU of an echo, with and without it, in the same run, in turns.

``python -m test.bench.capture_cost``. A client pipelines messages, many in a write, or waits for each
answer; the server's CPU is read from the scheduler's accounts of its threads, the calls that write to
the file from its I/O accounts. The last column is the floor: a program that only writes the same bytes
by as many calls, to a file in the same place.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from test.client.peers import request
from test.programs import ROOT, environment

ROUNDS = 11
SERVER = """
import sys
from ws4py_ng.limits import Limits
from ws4py_ng.websocket import EchoWebSocket
options = dict(deflate=None, limits=Limits(ping_interval=None), capture=sys.argv[2] or False)
if sys.argv[1] == "threads":
    from ws4py_ng.server.threadedserver import serve
    with serve(EchoWebSocket, "127.0.0.1", 0, **options) as server:
        print(server.port, flush=True)
        server.serve_forever()
else:
    import asyncio
    from ws4py_ng.server.asyncioserver import serve
    async def main():
        async with serve(EchoWebSocket, "127.0.0.1", 0, **options) as server:
            print(server.port, flush=True)
            await server.serve_forever()
    asyncio.run(main())
"""


def cpu(pid: int) -> float:
    """Return the CPU time of a process so far, in seconds, of its living threads."""
    accounts = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(account.read_text().split()[0]) for account in accounts) / 1e9


def written(pid: int) -> tuple[int, int]:
    """Return the calls by which a process wrote to files so far, and the bytes."""
    accounts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(accounts["syscw"]), int(accounts["wchar"])


def floor(path: Path, calls: int, size: int) -> float:
    """Return the CPU that a call takes that appends so many bytes to a file, in microseconds."""
    data = bytes(size)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    before = time.thread_time_ns()
    for _ in range(calls):
        os.write(fd, data)
    spent = time.thread_time_ns() - before
    os.close(fd)
    path.unlink()
    return spent / calls / 1000


def frame(size: int) -> bytes:
    """Build a masked binary frame of zeros."""
    head = bytes([0x82, 0x80 | size]) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
    return head + bytes(4 + size)


class Peer:
    """Be connected to a server in a process of its own."""

    def __init__(self, kind: str, target: str) -> None:
        command = [sys.executable, "-c", SERVER, kind, target]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment())
        assert self.process.stdout is not None
        self.sock = socket.create_connection(("127.0.0.1", int(self.process.stdout.readline())))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(request())
        assert b"101 Switching" in self.sock.recv(1000)

    def measure(self, size: int, batch: int, rounds: int) -> float:
        """Return the server's CPU for a message, in microseconds."""
        data = frame(size) * batch
        answer = (len(frame(size)) - 4) * batch
        before = cpu(self.process.pid)
        for _ in range(rounds):
            self.sock.sendall(data)
            left = answer
            while left:
                left -= len(self.sock.recv(min(left, 1 << 20)))
        return (cpu(self.process.pid) - before) / (batch * rounds) * 1e6

    def close(self) -> None:
        """End the server."""
        self.sock.close()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


CASES = (
    ("16 bytes, pipelined", 16, 1000, 100),
    ("125 bytes, pipelined", 125, 1000, 100),
    ("1000 bytes, pipelined", 1000, 200, 100),
    ("16 bytes, one by one", 16, 1, 5000),
)


def measure(kind: str, what: str, size: int, batch: int, rounds: int) -> None:
    """Measure one case, and print its row."""
    with tempfile.TemporaryDirectory() as directory:
        peers = [Peer(kind, ""), Peer(kind, f"{directory}/trace.wscap")]
        for peer in peers:
            peer.measure(size, batch, rounds // 5)
        calls, there = written(peers[1].process.pid)
        found = [[peer.measure(size, batch, rounds) for peer in peers] for _ in range(ROUNDS)]
        now = written(peers[1].process.pid)
        for peer in peers:
            peer.close()
        calls, there = now[0] - calls, now[1] - there
        messages = ROUNDS * batch * rounds
        least = floor(Path(directory, "floor"), min(calls, 100_000), there // calls) * calls / messages
    plain, captured = (min(column) for column in zip(*found, strict=True))  # what disturbs only adds
    shown = f"{kind:9} {what:22} {plain:8.2f} µs {captured:8.2f} µs   {captured / plain:5.2f}"
    print(f"{shown} {calls / messages:10.3f} {least:8.2f} µs = {1 + least / plain:.2f}")


def main() -> None:
    """Measure, and print a table."""
    print("server    messages                  plain      captured     ratio  writes each  floor")
    for kind in ("threads", "asyncio"):
        for case in CASES:
            measure(kind, *case)


if __name__ == "__main__":
    main()
