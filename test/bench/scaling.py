"""What one process holds: ``python -m test.bench.scaling [--connections N]``; docs/topics/scaling.md has the figures.

The server is a process of its own, asyncio with the defaults of `serve`; the peers are raw sockets in
this one. What it prints is JSON, which `example/capacity.py` reads; ``--write`` puts it into the page. It needs Linux.
`test.bench.beside` measures what one member that never reads does to the others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import select
import selectors
import socket
import ssl
import subprocess
import sys
from itertools import cycle
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

from test.client.peers import frame, request, server_context
from ws4py_ng.pubsub import Hub
from ws4py_ng.server.asyncioserver import serve
from ws4py_ng.websocket import WebSocket

HOST = "127.0.0.1"
IDLE = 20.0
# What a raw loop sends is what ours sends, and as often: see ws4py_ng.transports.grid.
BURST, PING = 0.25, b"\x89\x07ng-1234"
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "topics" / "scaling.md"
FIGURES = PAGE.with_suffix(".json")
BEGIN, END = "<!-- python -m test.bench.scaling --write -->", "<!-- end -->"
ROWS = {
    "connections, all served, a publish reaches all": "{connections:,.0f}",
    "memory of a connection": "{memory_bytes:,.0f} bytes",
    f"idle for {IDLE:.0f} s, each is pinged once: CPU of all": "{idle_cpu_percent:.1f} % of a core",
    "the same for a loop of epoll that only writes Pings and reads": "{idle_floor_percent:.1f} %",
    "handshake, CPU": "{handshake_us:,.0f} µs",
    "a message of 100 bytes that is echoed, CPU": "{message_us:.1f} µs",
    "a publish of 100 bytes, CPU for each member": "{broadcast_us:.1f} µs",
    "until all have it, most of it in the peers": "{broadcast_seconds:.1f} s",
    "memory of a connection with TLS": "{tls_memory_bytes:,.0f} bytes",
    "handshake with TLS, CPU": "{tls_handshake_us:,.0f} µs",
    "the parent of the workers, CPU for a publish to one worker": "{relay_us:.2f} µs",
}
hub = Hub()


class Member(WebSocket):
    """Be in a topic; publish what begins with ``!``, echo the rest."""

    def opened(self) -> None:
        hub.subscribe(self, "all")

    def received_message(self, message: Any) -> None:
        if message.data[:1] == b"!":
            hub.publish("all", message.data, True)
        else:
            self.send(message.data, True)


async def _serve(uvloop: bool, tls: bool) -> None:
    context = server_context() if tls else None
    async with serve(Member, HOST, 0, max_connections=100_000, ssl_context=context) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        await server.serve_forever()


def _serve_raw(count: int) -> None:
    """Do the least that pings: answer so many requests, unread, then ping each once in `IDLE` seconds, in bursts."""
    with socket.create_server((HOST, 0), backlog=1024) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        found = {}
        waiting = select.epoll()
        for _ in range(count):
            sock, _ = listener.accept()
            sock.recv(4096)
            sock.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            sock.setblocking(False)
            found[sock.fileno()] = sock
            waiting.register(sock, select.EPOLLIN)
    socks, buffer, burst = list(found.values()), bytearray(4096), ceil(count * BURST / IDLE)
    for first in cycle(range(0, count, burst)):
        until = monotonic() + BURST
        for sock in socks[first : first + burst]:
            sock.send(PING)
        while (left := until - monotonic()) > 0:
            for number, _ in waiting.poll(left, 64):
                if not found[number].recv_into(buffer):
                    return


class Peer:
    """Be one connection of the crowd."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.count = 0

    def read(self) -> list[bytes]:
        """Return the payloads that came; answer Pings."""
        try:
            data = self.sock.recv(1 << 18)
        except (BlockingIOError, ssl.SSLWantReadError):
            return []
        if not data:
            raise ConnectionError("a connection has ended")
        self.buffer += data
        found = []
        while len(self.buffer) >= 2:
            size, start = self.buffer[1], 2
            if size == 126:
                size, start = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < start + size:
                break
            payload = self.buffer[start : start + size]
            if self.buffer[0] == 0x89:
                self.sock.send(frame(10, payload))
            else:
                found.append(payload)
            self.buffer = self.buffer[start + size :]
        self.count += len(found)
        return found


class Crowd:
    """Be all peers of one server process."""

    def __init__(self, arguments: argparse.Namespace, tls: bool = False, raw: bool = False) -> None:
        flags = [flag for flag, on in (("--uvloop", arguments.uvloop), ("--tls", tls), ("--raw", raw)) if on]
        flags += ["--connections", str(arguments.connections)]
        command = [sys.executable, "-m", "test.bench.scaling", "--serve", *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.selector = selectors.DefaultSelector()
        self.peers: list[Peer] = []
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    def join(self, count: int) -> list[Peer]:
        """Connect so many more."""
        fresh = []
        for _ in range(count):
            sock: Any = socket.create_connection((HOST, self.port), 20)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock)
            sock.sendall(request(port=self.port))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            assert b" 101 " in head, head
            sock.setblocking(False)
            fresh.append(Peer(sock))
            self.selector.register(sock, selectors.EVENT_READ, fresh[-1])
            if len(fresh) % 200 == 0:
                self.pump(0)  # Pings are to be answered in time
        self.peers += fresh
        return fresh

    def pump(self, seconds: float) -> list[tuple[Peer, bytes, float]]:
        """Read what comes within a time; each with when it came."""
        came = []
        for key, _ in self.selector.select(seconds):
            now = monotonic()
            came += [(key.data, payload, now) for payload in key.data.read()]
        return came

    def cpu(self) -> float:
        """Return the seconds of CPU that the server has used."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in tasks) / 1e9

    def idle(self) -> float:
        """Answer Pings for `IDLE` seconds; return the share of a core that the server has used."""
        begun, cpu = monotonic(), self.cpu()
        while monotonic() < begun + IDLE:
            self.pump(0.1)
        return (self.cpu() - cpu) / (monotonic() - begun)

    def memory(self) -> int:
        """Return what the server has of memory, in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def close(self) -> None:
        """End the server and all peers."""
        self.process.kill()
        self.process.wait()
        for peer in self.peers:
            peer.sock.close()
        self.selector.close()


def hold(arguments: argparse.Namespace) -> dict[str, float]:
    """Hold many connections: memory, idle CPU, a broadcast to all."""
    crowd = Crowd(arguments)
    try:
        before = crowd.memory()
        begun, cpu = monotonic(), crowd.cpu()
        crowd.join(arguments.connections)
        handshake = (crowd.cpu() - cpu) / arguments.connections
        joined = monotonic() - begun
        memory = (crowd.memory() - before) / arguments.connections
        idle = crowd.idle()
        payload = b"!" + bytes(99)
        costs, times = [], []
        for _ in range(10):
            for peer in crowd.peers:
                peer.count = 0
            left, begun, cpu = len(crowd.peers), monotonic(), crowd.cpu()
            crowd.peers[0].sock.send(frame(2, payload))
            while left:
                left -= sum(payload == each for _, each, _ in crowd.pump(1.0))
            times.append(monotonic() - begun)
            costs.append((crowd.cpu() - cpu) / len(crowd.peers))
            assert all(peer.count == 1 for peer in crowd.peers)
        return {
            "connections": len(crowd.peers),
            "connect_seconds": joined,
            "handshake_us": handshake * 1e6,
            "memory_bytes": memory,
            "idle_cpu_percent": idle * 100,
            "broadcast_us": sum(costs) / len(costs) * 1e6,
            "broadcast_seconds": sorted(times)[len(times) // 2],
        }
    finally:
        crowd.close()


def floor(arguments: argparse.Namespace) -> dict[str, float]:
    """Let a raw loop ping as many."""
    crowd = Crowd(arguments, raw=True)
    try:
        crowd.join(arguments.connections)
        return {"idle_floor_percent": crowd.idle() * 100}
    finally:
        crowd.close()


def echo(arguments: argparse.Namespace) -> dict[str, float]:
    """Let a hundred peers send and wait for the answer."""
    crowd = Crowd(arguments)
    try:
        message = frame(2, bytes(100))
        for peer in crowd.join(100):
            peer.sock.send(message)
        done, begun, cpu = 0, monotonic(), crowd.cpu()
        while monotonic() < begun + 5:
            for peer, _, _ in crowd.pump(1.0):
                peer.sock.send(message)
                done += 1
        return {"message_us": (crowd.cpu() - cpu) / done * 1e6, "messages_per_second": done / (monotonic() - begun)}
    finally:
        crowd.close()


def tls(arguments: argparse.Namespace) -> dict[str, float]:
    """Hold a thousand connections of TLS."""
    crowd = Crowd(arguments, tls=True)
    try:
        crowd.join(10)
        before, cpu = crowd.memory(), crowd.cpu()
        crowd.join(1000)
        return {
            "tls_memory_bytes": (crowd.memory() - before) / 1000,
            "tls_handshake_us": (crowd.cpu() - cpu) / 1000 * 1e6,
        }
    finally:
        crowd.close()


def bus() -> dict[str, float]:
    """Let a parent pass publishes on to three processes; its CPU, for each frame that it sends."""
    from ws4py_ng.pubsub.relay import _HEAD, Relay

    async def run() -> float:
        relay = Relay()
        pairs = [socket.socketpair() for _ in range(4)]
        for ours, theirs in pairs:
            await relay.add(ours)
            theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        for _, theirs in pairs[1:]:
            await loop.sock_sendall(theirs, _HEAD.pack(3, 3, 2) + b"all")
        await asyncio.sleep(0.05)
        pid = os.fork()
        if not pid:  # the processes, which only read and write
            data, reader = (_HEAD.pack(123, 3, 1) + b"all" + bytes(120)) * 20, selectors.DefaultSelector()
            for _, theirs in pairs[1:]:
                reader.register(theirs, selectors.EVENT_READ)
            pairs[0][1].setblocking(True)
            for _ in range(1000):
                pairs[0][1].sendall(data)
                for key, _ in reader.select(0):
                    key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
            pairs[0][1].shutdown(socket.SHUT_WR)
            while reader.select(0.2):
                for key, _ in reader.select(0):
                    key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
            os._exit(0)
        begun = resource.getrusage(resource.RUSAGE_SELF)
        while not os.waitpid(pid, os.WNOHANG)[0]:
            await asyncio.sleep(0.01)
        ended = resource.getrusage(resource.RUSAGE_SELF)
        assert relay.lost == 0
        for _, theirs in pairs:
            theirs.close()
        relay.close()
        return ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime

    return {"relay_us": asyncio.run(run()) / (3 * 20_000) * 1e6}


def with_figures(page: str, figures: dict[str, float]) -> str:
    """Put what was measured into the table of the page."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = [f"| {name} | {value.format(**figures)} |" for name, value in ROWS.items()]
    return "\n".join([before + BEGIN, "| | asyncio |", "|---|---|", *rows, END + after])


def main() -> None:
    """Measure, or be the server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=9_900)
    parser.add_argument("--write", action="store_true", help="write the figures to docs/topics/scaling.md and .json")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--raw", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tls", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments.serve:
        if arguments.raw:
            _serve_raw(arguments.connections)
        elif arguments.uvloop:
            import uvloop

            uvloop.run(_serve(True, arguments.tls))
        else:
            asyncio.run(_serve(False, arguments.tls))
        return
    figures: dict[str, float] = {**hold(arguments), **floor(arguments), **echo(arguments), **tls(arguments), **bus()}
    text = json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=1)
    print(text)
    if arguments.write:
        FIGURES.write_text(text + "\n")
        PAGE.write_text(with_figures(PAGE.read_text(), figures))


if __name__ == "__main__":
    main()
