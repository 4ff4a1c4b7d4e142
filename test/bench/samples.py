"""How each kind of case is measured: a `Probe` for one program in one case.

A probe is opened once and sampled in every round, so that rounds of different programs interleave.
"""

from __future__ import annotations

import itertools
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

from .answering import Answering
from .cases import Case
from .clients import CLIENTS
from .layers import LAYERS
from .load import Audience, Plan, connect, converse
from .measure import pss_bytes, settle
from .process import Failed, Running, imports
from .servers import SERVERS
from .setup import Setup
from .table import Entry
from .wire import TEXT, Compressed, Repeated, client_frame, server_frame

OFFER = "permessage-deflate; client_max_window_bits"
# Payloads are text as well; that in UTF-8 has letters of two bytes among those of one.
PAYLOAD = "Grüße aus der Nachbarschaft! ".encode()


@dataclass(frozen=True)
class Effort:
    """Say how much is done: ``cpu`` seconds for each sample, ``rounds``, ``connections`` of those who need many."""

    rounds: int
    cpu: float
    connections: int
    audience: int


# Many short samples in turn: a machine that others use as well is now faster, now slower, for parts of a second
# or for minutes, and then everybody has had the same of it.
FULL = Effort(rounds=45, cpu=0.015, connections=400, audience=2000)
QUICK = Effort(rounds=5, cpu=0.008, connections=100, audience=200)


@dataclass(frozen=True)
class Sample:
    """Tell what one round found: the figure in the case's unit, and how many per second by the clock."""

    figure: float
    rate: float | None = None
    size: float | None = None


class Probe:
    """Measure one program in one case; to be subclassed."""

    def __init__(self, case: Case, entry: Entry, effort: Effort, certificate: str) -> None:
        self.case, self.entry, self.effort, self.certificate = case, entry, effort, certificate
        self.stack = ExitStack()

    def begin(self) -> None:
        """Start what is measured; without a wait, so that many start at once."""

    def wait(self) -> None:
        """Wait until it has started; nobody is opened before all have."""

    def open(self) -> None:
        """Get ready for samples."""

    def sample(self) -> Sample:
        """Measure."""
        raise NotImplementedError

    def close(self) -> None:
        """End what was started."""
        self.stack.close()

    def start(self, table: str, setup: Setup) -> Running:
        """Start a program that ends with the probe."""
        return self.stack.enter_context(Running(table, self.entry, setup))


class _Counted(Probe):
    """Do something as often as takes a reasonable time."""

    process: Running
    count = 1

    def work(self, count: int) -> float:
        """Do it ``count`` times; return the seconds it took."""
        raise NotImplementedError

    def calibrate(self) -> None:
        """Find out how often; it warms up what it measures as well."""
        count = max(self.case.window * 2, 10)
        while True:
            # The least of some: a moment in which somebody else had the CPU would make all samples short.
            cpu, took = map(min, zip(*(self._timed(count) for _ in range(4)), strict=True))
            if cpu > self.effort.cpu / 10 or took > self.effort.cpu:
                break
            count *= 4
        self.count = max(int(count * min(self.effort.cpu / max(cpu, 1e-6), 4 * self.effort.cpu / took)), 2)

    def _timed(self, count: int) -> tuple[float, float]:
        before = self.process.cpu()
        took = self.work(count)
        return (self.process.cpu() - before) / 1e9, took

    def sample(self) -> Sample:
        """Measure."""
        cpu, took = self._timed(self.count)
        return Sample(cpu * 1e9 / self.count, self.count / took)


class EchoProbe(_Counted):
    """Send messages to a server that sends them back."""

    plan: Plan
    offer = ""

    def begin(self) -> None:
        """Start the server."""
        certificate = self.certificate if self.case.tls else None
        self.process = self.start("servers", Setup(certificate=certificate, deflate=self.case.kind == "deflate"))

    def wait(self) -> None:
        """Wait for the server."""
        self.process.wait_for_port()

    def open(self) -> None:
        """Connect, and find out how many messages a sample has."""
        self.sock, self.agreed = connect(self.process.setup, self.offer)
        self.stack.callback(self.sock.close)
        self.plan = self.make_plan()
        self.calibrate()

    def make_plan(self) -> Plan:
        """Say what is sent, and what has to come."""
        payload = (PAYLOAD * (self.case.size // len(PAYLOAD) + 1))[: self.case.size].decode(errors="ignore").encode()
        payload += b"." * (self.case.size - len(payload))
        frame = client_frame(self.case.opcode, payload)
        is_raw = self.entry.name.startswith("raw/")
        return Repeated(frame, frame if is_raw else server_frame(self.case.opcode, payload))

    def work(self, count: int) -> float:
        """Exchange messages."""
        return converse(self.sock, self.plan, count, self.case.window)


class DeflateProbe(EchoProbe):
    """Send compressed messages."""

    offer = OFFER

    def make_plan(self) -> Compressed:
        """Compress as was agreed."""
        return compressed(self.agreed)

    def sample(self) -> Sample:
        """Measure the size on the wire as well."""
        assert isinstance(self.plan, Compressed)
        plan = self.plan
        bytes_before, texts_before = plan.bytes_received, plan.texts_received
        found = super().sample()
        return replace(found, size=(plan.bytes_received - bytes_before) / (plan.texts_received - texts_before))


def compressed(agreed: str) -> Compressed:
    """Make a plan after what a server has agreed to."""
    if "permessage-deflate" not in agreed:
        raise Failed(f"the server does not compress: it agreed to {agreed!r}")
    bits = 15
    for part in agreed.split(";"):
        name, _, value = part.strip().partition("=")
        if name == "client_max_window_bits":
            bits = int(value.strip('"'))
    return Compressed(bits, "client_no_context_takeover" not in agreed, "server_no_context_takeover" not in agreed)


class MemoryProbe(Probe):
    """Open connections, and look how much the server has grown."""

    MESSAGES = 8

    def sample(self) -> Sample:
        """Measure, with a new server."""
        deflates = "deflate" in self.entry.features
        with Running("servers", self.entry, Setup(deflate=deflates)) as process, ExitStack() as stack:
            process.wait_for_port()
            # The first connections pay for what all share.
            self._connect(process, max(self.effort.connections // 10, 10), stack, deflates)
            before = pss_bytes(process.pid)
            # What is used is larger, and takes longer to use.
            number = self.effort.connections // (4 if self.case.used else 1)
            self._connect(process, number, stack, deflates)
            return Sample((pss_bytes(process.pid) - before) / number)

    def _connect(self, process: Running, count: int, stack: ExitStack, deflates: bool) -> None:
        for _ in range(count):
            sock, agreed = connect(process.setup, OFFER if deflates else "")
            stack.callback(sock.close)
            if self.case.used:
                converse(sock, compressed(agreed), self.MESSAGES, 2)
        settle(process.pid)


class HandshakeProbe(_Counted):
    """Connect, and shake hands."""

    def begin(self) -> None:
        """Start the server."""
        self.process = self.start("servers", Setup())

    def wait(self) -> None:
        """Wait for the server."""
        self.process.wait_for_port()

    def open(self) -> None:
        """Warm up."""
        self.count = self.effort.connections
        self.work(self.count)

    def work(self, count: int) -> float:
        """Make connections, and leave them after that."""
        settle(self.process.pid)
        made: list[socket.socket] = []
        begun = time.perf_counter()
        try:
            made.extend(connect(self.process.setup)[0] for _ in range(count))
            return time.perf_counter() - begun
        finally:
            self._leaving = made

    def _timed(self, count: int) -> tuple[float, float]:
        settle(self.process.pid)
        try:
            return super()._timed(count)
        finally:
            for sock in self._leaving:
                sock.close()
            settle(self.process.pid)


class BroadcastProbe(Probe):
    """Send one message to all, with a new server: all audiences at once would be too many descriptors."""

    def sample(self) -> Sample:
        """Measure for each receiver."""
        payload = b"0123456789" * (self.case.size // 10)
        frames = client_frame(TEXT, payload, key=bytes(4)), server_frame(TEXT, payload)
        times, size = (3 if self.effort is QUICK else 10), self.effort.audience
        with Running("servers", self.entry, Setup(broadcast=True)) as process:
            process.wait_for_port()
            with Audience(process.setup, size) as audience:
                settle(process.pid)  # a thread may still be about to let its connection in
                audience.hear(*frames)
                settle(process.pid)
                before, begun = process.cpu(), time.perf_counter()
                for _ in range(times):
                    audience.hear(*frames)
                took = time.perf_counter() - begun
                settle(process.pid)
                return Sample((process.cpu() - before) / times / size, times * size / took)


def _expect(process: Running, word: str) -> None:
    line = process.read()
    if line != word:
        raise Failed(f"{process.entry.name} said {line!r}, expected {word!r}")


class ClientProbe(_Counted):
    """Let a client talk to the server of the load generator."""

    def begin(self) -> None:
        """Listen, and start the client."""
        self.server = Answering()
        self.process = self.start("clients", Setup(port=self.server.port))

    def wait(self) -> None:
        """Wait for the client."""
        try:
            self.server.accept()
        except TimeoutError:
            raise Failed(f"{self.entry.name} did not connect: {self.process.complaint()}") from None
        self.stack.callback(self.server.close)
        _expect(self.process, "ready")

    def open(self) -> None:
        """Find out how many messages a sample has."""
        self.calibrate()

    def work(self, count: int) -> float:
        """Give an order, and answer."""
        self.process.write(f"{count} {self.case.window} {self.case.size}")
        took = self.server.serve(count, self.case.size)
        _expect(self.process, "done")
        return took


class LayersProbe(_Counted):
    """Let a program feed itself."""

    def begin(self) -> None:
        """Start it."""
        self.process = self.start("layers", Setup())

    def wait(self) -> None:
        """Wait for it."""
        _expect(self.process, "ready")

    def open(self) -> None:
        """Find out how many messages a sample has."""
        self.calibrate()

    def work(self, count: int) -> float:
        """Give an order: whole windows."""
        begun = time.perf_counter()
        self.process.write(f"{count} {self.case.window} {self.case.size}")
        _expect(self.process, "done")
        return time.perf_counter() - begun

    def calibrate(self) -> None:
        """Round to whole windows."""
        super().calibrate()
        self.count = max(self.count // self.case.window, 1) * self.case.window


class ImportProbe(Probe):
    """Import a module in a new process."""

    def open(self) -> None:
        """Import it once, so that all of it is compiled."""
        self.bytecode = self.stack.enter_context(TemporaryDirectory())
        imports(self.entry.where, self.bytecode)

    def sample(self) -> Sample:
        """Import it."""
        cpu, _ = imports(self.entry.where, self.bytecode)
        return Sample(cpu)


PROBES: dict[str, type[Probe]] = {
    "echo": EchoProbe,
    "deflate": DeflateProbe,
    "memory": MemoryProbe,
    "handshake": HandshakeProbe,
    "broadcast": BroadcastProbe,
    "client": ClientProbe,
    "layers": LayersProbe,
    "import": ImportProbe,
}
MODULES = {
    "ng": Entry("ng", "ws4py_ng"),
    "ng/websocket": Entry("ng/websocket", "ws4py_ng.websocket"),
    "ng/server": Entry("ng/server", "ws4py_ng.server.asyncioserver"),
    "websockets": Entry("websockets", "websockets", "websockets", ("websockets",)),
    "websockets/server": Entry("websockets/server", "websockets.asyncio.server", "websockets", ("websockets",)),
    "websocket-client": Entry("websocket-client", "websocket", "websocket-client", ("websocket",)),
    "aiohttp": Entry("aiohttp", "aiohttp", "aiohttp", ("aiohttp",)),
    "picows": Entry("picows", "picows", "picows", ("picows",)),
}


def entries_of(case: Case) -> dict[str, Entry]:
    """Return the programs that take part in a case."""
    if case.kind == "import":
        return MODULES
    if case.kind == "client":
        return CLIENTS
    if case.kind == "layers":
        return LAYERS
    needed = set(case.needs.split())
    return {name: entry for name, entry in SERVERS.items() if _takes_part(entry, case, needed)}


def _takes_part(entry: Entry, case: Case, needed: set[str]) -> bool:
    only = [feature.removesuffix("-only") for feature in entry.features if feature.endswith("-only")]
    return case.kind in only if only else needed <= entry.features


def all_names() -> set[str]:
    """Return the names of all programs."""
    return set(itertools.chain(SERVERS, CLIENTS, LAYERS, MODULES))
