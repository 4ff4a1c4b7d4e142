"""Whether one member that never reads harms the others: ``python -m test.bench.beside --help``.

All in one run, over the same connections: rounds without such a member (A) and with it (B) take turns, as
A B B A, so that what else the machine does falls on both alike. In B it comes, is filled up until it is
behind, and is then in the topics; behind B it goes. In each round a message of 10 kB is published a few
times to 200 members, and one of 100 bytes to all.

The server writes CLOCK_REALTIME into a message when it publishes; when the kernel had it for the member it
says itself (SO_TIMESTAMPNS), so that who reads late here measures the same. The quantiles of all rounds of a
kind are compared, with an interval by resampling rounds (bootstrap). ``--count`` counts what no clock is
asked for. Server and peers have a core each, and priority where root runs it. It needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import socket
import struct
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from math import exp, log
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from test.client.peers import frame, request

from .hearing import HOSTS, POLICIES
from .network import own_network

SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("qq")
CLOSER = 200
BROADCASTS = 3
SIZES = {"probe": 10_000, "all": 100}
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
# Steps of 1 % from a microsecond on.
STEP = log(1.01)
BINS = 2000
RESAMPLES = 1000
PATIENCE = 120.0
PRIORITY = -15
CORES = os.sched_getaffinity(0)


class Ear:
    """Be a connection that hears when something came: by the kernel, not by who reads."""

    def __init__(self, port: int, query: str, room: int = 0) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if room:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.sock.sendall(request(port=port, line=f"GET /?{query} HTTP/1.1"))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.sock.recv(1)
        assert b" 101 " in head, head
        self.buffer = b""

    def read(self) -> tuple[list[bytes], int]:
        """Return the messages that a read completes, and when the last of it came."""
        data, notes, _, _ = self.sock.recvmsg(1 << 18, 64)
        assert data, "a connection has ended"
        seconds, rest = TIMESPEC.unpack(notes[0][2])
        buffer, messages = self.buffer + data, []
        while len(buffer) >= 4:
            size, start = (buffer[1], 2) if buffer[1] < 126 else (int.from_bytes(buffer[2:4], "big"), 4)
            if len(buffer) < start + size:
                break
            if buffer[0] == 0x89:
                self.sock.send(frame(10, buffer[start : start + size]))
            else:
                messages.append(buffer[start : start + size])
            buffer = buffer[start + size :]
        self.buffer = buffer
        return messages, seconds * 10**9 + rest


class Round(NamedTuple):
    """Hold what one round found: latencies in microseconds, and CPU of the server for each publish."""

    samples: dict[str, list[float]]
    cpu: dict[str, float]
    report: dict[str, Any]


class Scene:
    """Hold a server process and all who are connected to it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        command = [sys.executable, "-m", "test.bench.hearing", arguments.host, arguments.policy]
        command += ["--count"] if arguments.count else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.publishes: int = arguments.publishes
        self.poll = select.epoll()
        self.late = 0
        self.ears: dict[int, Ear] = {}
        others = arguments.connections - CLOSER
        for query in [*["topic=all"] * others, *["topic=all&topic=probe"] * CLOSER]:
            ear = Ear(self.port, query)
            self.ears[ear.sock.fileno()] = ear
            self.poll.register(ear.sock, select.EPOLLIN)
            if len(self.ears) % CLOSER == 0:
                self.pump(0)  # Pings are to be answered in time
        self.boss = Ear(self.port, "")
        self.stuck: Ear | None = None

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Have the server do something, and wait until it has."""
        self.boss.sock.sendall(frame(1, json.dumps({"do": do, **values}).encode()))
        while True:
            messages, _ = self.boss.read()
            for message in messages:
                found: dict[str, Any] = json.loads(message)
                return found

    def pump(self, seconds: float) -> tuple[list[float], int]:
        """Read what comes; latencies, and how many messages came. Two in one read tell no time."""
        samples, count = [], 0
        for fd, _ in self.poll.poll(seconds):
            messages, came = self.ears[fd].read()
            count += len(messages)
            if len(messages) == 1:
                samples.append((came - int(messages[0][:19])) / 1000)
            else:
                self.late += len(messages)
        return samples, count

    def publish(self, topic: str, times: int, members: int) -> list[float]:
        """Publish, and hear all of it before the next."""
        samples: list[float] = []
        for _ in range(times):
            self.ask("publish", topic=topic, size=SIZES[topic])
            left, deadline = members, monotonic() + PATIENCE
            while left:
                assert monotonic() < deadline, f"{left} messages are missing"
                found, count = self.pump(1.0)
                samples += found
                left -= count
        return samples

    def let_in(self) -> None:
        """Let who never reads be in the topics, behind as far as can be."""
        self.stuck = Ear(self.port, "stuck", room=4096)
        self.stuck.read()
        assert self.ask("fill")["pending"] > 0
        self.ask("in")

    def round(self, beside: bool) -> Round:
        """Publish to some, and to all."""
        if beside:
            self.let_in()
        samples, cpu = {}, {}
        begun = Counter(self.ask("report")["counts"])
        for topic, times, members in (("probe", self.publishes, CLOSER), ("all", BROADCASTS, len(self.ears))):
            before = self.ask("report")["cpu"]
            samples[topic] = self.publish(topic, times, members)
            report = self.ask("report")
            cpu[topic] = (report["cpu"] - before) / times
        if beside:
            self.ask("out")
            assert self.stuck is not None
            self.stuck.sock.close()
        return Round(samples, cpu, {**report, "counts": Counter(report["counts"]) - begun})

    def close(self) -> None:
        """End the server and hang up."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        for ear in (self.boss, *self.ears.values()):
            ear.sock.close()
        self.poll.close()


def quantile(samples: list[float], q: float) -> float:
    """Return a quantile of sorted samples."""
    return samples[min(int(len(samples) * q), len(samples) - 1)]


def bins(samples: list[float]) -> list[int]:
    """Count samples by their size, in steps of a hundredth."""
    counts = [0] * BINS
    for each in samples:
        counts[min(max(int(log(max(each, 1.0)) / STEP), 0), BINS - 1)] += 1
    return counts


def drawn(rounds: list[list[int]], q: float) -> float:
    """Return a quantile of as many rounds, drawn with replacement."""
    total = [sum(each) for each in zip(*random.choices(rounds, k=len(rounds)), strict=True)]
    wanted, seen = sum(total) * q, 0
    for index, count in enumerate(total):
        seen += count
        if seen >= wanted:
            return exp((index + 0.5) * STEP)
    raise AssertionError("no samples")


def compare(without: list[list[float]], beside: list[list[float]]) -> dict[str, dict[str, Any]]:
    """Compare the quantiles of two kinds of rounds; the ratio has an interval of 95 %."""
    found = {}
    pooled = [sorted(each for samples in kind for each in samples) for kind in (without, beside)]
    binned = [[bins(samples) for samples in kind] for kind in (without, beside)]
    for name, q in QUANTILES.items():
        a, b = (quantile(samples, q) for samples in pooled)
        ratios = sorted(drawn(binned[1], q) / drawn(binned[0], q) for _ in range(RESAMPLES))
        interval = [round(ratios[int(RESAMPLES * each)], 2) for each in (0.025, 0.975)]
        found[name] = {"A_us": round(a), "B_us": round(b), "ratio": round(b / a, 2), "interval": interval}
    return found


def busy() -> tuple[int, int]:
    """Return how many ticks all cores were busy, and how many there were."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def own(pid: int) -> int:
    """Return how many ticks a process was busy."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def settle(pid: int, core: int) -> None:
    """Give a process a core, and all of it as far as that is ours to say: others' work is not what is measured."""
    cores = sorted(CORES)
    for task in map(int, os.listdir(f"/proc/{pid}/task")):
        os.sched_setaffinity(task, {cores[core]})
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, task, PRIORITY)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds, and compare them."""
    scene = Scene(arguments)
    try:
        if not arguments.count:
            settle(os.getpid(), 0)
            settle(scene.process.pid, -1)
        scene.round(False)
        scene.round(True)
        scene.late = 0
        before, mine = busy(), own(scene.process.pid) + own(os.getpid())
        rounds: dict[bool, list[Round]] = {False: [], True: []}
        for number in range(arguments.rounds):
            for beside in ((False, True), (True, False))[number % 2]:
                rounds[beside].append(scene.round(beside))
        after, ours = busy(), own(scene.process.pid) + own(os.getpid()) - mine
        others = (after[0] - before[0] - ours) / (after[1] - before[1])
        figures: dict[str, Any] = {
            "host": arguments.host,
            "policy": arguments.policy,
            "connections": len(scene.ears),
            "rounds_of_each_kind": arguments.rounds,
            "cores": len(CORES),
            "others_had_of_them": f"{others:.0%}",
            "priority": os.getpriority(os.PRIO_PROCESS, scene.process.pid),
            "loadavg": Path("/proc/loadavg").read_text().split()[0],
            "read_too_late_to_tell": scene.late,
        }
        for topic in SIZES:
            kinds = ([each.samples[topic] for each in rounds[kind]] for kind in (False, True))
            figures[topic] = {} if arguments.count else compare(*kinds)
            for name, kind in (("A", False), ("B", True)):
                cost = sorted(each.cpu[topic] for each in rounds[kind])
                figures[topic][f"cpu_us_a_publish_{name}"] = round(cost[len(cost) // 2])
        reports = [each.report for each in rounds[True]]
        figures["most_bytes_held_for_it"] = max(each["held"] for each in reports)
        figures["dropped"] = reports[-1]["dropped"]
        if arguments.count:
            figures["counts"] = {"A": scene.round(False).report["counts"], "B": scene.round(True).report["counts"]}
        return figures
    finally:
        scene.close()


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", choices=HOSTS, default="asyncio")
    parser.add_argument("--policy", choices=POLICIES, default="drop_oldest")
    parser.add_argument("--connections", type=int, default=9_900)
    parser.add_argument("--rounds", type=int, default=20, help="of each kind")
    parser.add_argument("--publishes", type=int, default=20, help="to 200 members, in a round")
    parser.add_argument("--count", action="store_true", help="count system calls of a round of each kind")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with own_network() as control:
        print(json.dumps({"tcp": control, **measure(arguments)}, indent=1))


if __name__ == "__main__":
    main()
