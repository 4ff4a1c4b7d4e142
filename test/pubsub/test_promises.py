"""What is promised holds when a broker or a worker is killed while 200 members are sent a steady flow of numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from test.client.peers import Peer
from test.many import eventually
from test.programs import Program

from .brokers import Broker, nats_server, redis_server
from .crowd import Crowd, Face
from .test_transports import ask, joined

MEMBERS = 100  # of each of two workers
COUNT = 2000
LAST = 10_000_000
SERVERS = {"redis": redis_server, "streams": redis_server, "nats": nats_server}


class Worker(NamedTuple):
    """Hold a process with a hub, its boss and its members."""

    program: Program
    port: int
    boss: Peer
    faces: list[Face]

    def status(self) -> dict[str, Any]:
        """Ask its hub how it is doing."""
        ask(self.boss, "status")
        found: dict[str, Any] = json.loads(self.boss.take_frame()[1])
        return found

    def bus(self) -> dict[str, Any]:
        """Ask for its bus alone."""
        found: dict[str, Any] = self.status()["bus"]
        return found


class Scene(NamedTuple):
    """Hold a broker, its crowd and what starts workers."""

    kind: str
    broker: Broker
    crowd: Crowd
    stack: ExitStack

    def worker(self) -> Worker:
        """Start a worker."""
        command = [sys.executable, "-m", "test.pubsub.site", "aio", self.kind, self.broker.url]
        program = self.stack.enter_context(Program(command))
        port = int(program.line().rpartition(" ")[2])
        boss = self.stack.enter_context(joined(port, False, topic="other"))
        return Worker(program, port, boss, self.crowd.join(port, MEMBERS))


@contextmanager
def scene(kind: str, directory: Path) -> Iterator[Scene]:
    with SERVERS[kind](directory) as broker, Crowd() as crowd, ExitStack() as stack:
        yield Scene(kind, broker, crowd, stack)


def numbers(face: Face) -> list[int]:
    """Return what a member got of the steady flow, in its order."""
    got = [payload.rpartition(b"|")[2] for payload in face.payloads]
    return [int(each) for each in got if each.isdigit() and 0 < int(each) < LAST]


def warm_up(worker: Worker, faces: list[Face], number: int) -> None:
    """Wait until what a worker publishes comes to everybody."""

    def is_there() -> bool:
        ask(worker.boss, f"steady {number} 1")
        return all(any(each.endswith(b"%d" % number) for each in face.payloads) for face in faces)

    assert eventually(is_there)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_broker_is_killed_and_comes_back(kind: str, tmp_path: Path) -> None:
    with scene(kind, tmp_path) as here:
        one, other = here.worker(), here.worker()
        everybody = [*one.faces, *other.faces]
        warm_up(one, everybody, LAST)
        ask(one.boss, f"steady 1 {COUNT}")
        assert eventually(
            lambda: all(COUNT // 4 in numbers(face)[-20:] or len(numbers(face)) > 500 for face in other.faces)
        )
        here.broker.kill()
        assert eventually(lambda: not one.bus()["connected"] and not other.bus()["connected"])
        here.broker.start()
        assert eventually(lambda: one.bus()["connected"] and other.bus()["connected"])
        assert eventually(lambda: all(numbers(face)[-1:] == [COUNT] for face in one.faces))
        warm_up(one, everybody, LAST + 1)
        assert eventually(lambda: 0 == one.bus()["queued"])
        assert 0 == one.bus()["refused"]
        whole = list(range(1, COUNT + 1))
        for face in one.faces:  # members of the process that publishes have nothing to do with the broker
            assert whole == numbers(face)
        for face in other.faces:
            got = numbers(face)
            assert got == sorted(set(got)), "nothing comes twice, nor out of its order"
            if kind == "streams":
                assert whole == got
            else:  # at most once: all but what was published while this process had no connection
                assert set(range(1, 501)) <= set(got)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_worker_is_killed_and_the_members_of_another_notice_nothing(kind: str, tmp_path: Path) -> None:
    with scene(kind, tmp_path) as here:
        one, other = here.worker(), here.worker()
        warm_up(one, [*one.faces, *other.faces], LAST)
        ask(one.boss, f"steady 1 {COUNT}")
        assert eventually(lambda: all(len(numbers(face)) > COUNT // 4 for face in other.faces))
        other.program.process.kill()
        assert eventually(lambda: all(face.ended for face in other.faces))
        whole = list(range(1, COUNT + 1))
        assert eventually(lambda: all(numbers(face) == whole for face in one.faces))
        for face in other.faces:
            got = numbers(face)
            assert got == whole[: len(got)]
        if kind != "streams":
            return
        # Who was thrown out resumes elsewhere, from the offset of the last message that came.
        last = other.faces[0].payloads[-1].partition(b"|")[0].decode()
        have = numbers(other.faces[0])
        again = here.crowd.join(one.port, MEMBERS, f"topic=news&since={last}")
        assert eventually(lambda: all(have + numbers(face) == whole for face in again))
