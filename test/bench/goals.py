"""What is to be reached, as a table; the report prints beside it what was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .run import Results, Series


@dataclass(frozen=True)
class Goal:
    """Say that ``ours`` costs at most ``most`` times the cheapest of ``peers`` in a case.

    With ``absolute`` ``most`` is no ratio but in the case's unit. ``size`` compares the bytes on
    the wire instead of the cost.
    """

    case: str
    ours: str
    peers: tuple[str, ...]
    most: float
    size: bool = False
    absolute: bool = False


@dataclass(frozen=True)
class Outcome:
    """Tell what came of a goal: ``reached`` is a ratio, or a figure; None if it was not measured."""

    goal: Goal
    peer: str
    reached: float | None

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.reached is not None and self.reached <= self.goal.most

    @property
    def distance(self) -> float:
        """How far it is: above 1 it is not reached."""
        return 0.0 if self.reached is None else self.reached / self.goal.most


def _pairs(case: str, most: float) -> list[Goal]:
    return [
        Goal(case, "ng/gevent", ("gevent-websocket",), most),
        Goal(case, "ng/gevent", ("ws4py/gevent",), most),
        Goal(case, "ng/tornado", ("tornado",), most),
        Goal(case, "ng/eventlet", ("eventlet",), most),
        Goal(case, "ng/cherrypy", ("ws4py/cherrypy",), most),
        Goal(case, "ng/manager", ("ws4py/wsgiref",), most),
    ]


CLIENTS = ("picows", "aiohttp", "websockets", "websocket-client")
GOALS = [
    Goal("echo-32-many", "ng/asyncio", ("picows",), 1 / 12),
    Goal("echo-32-many", "ng/asyncio/pure", ("picows",), 1 / 2),
    Goal("echo-1k-many", "ng/asyncio", ("picows",), 1 / 5),
    Goal("echo-64k", "ng/asyncio", ("picows",), 1.0),
    Goal("echo-1m", "ng/asyncio", ("picows",), 1.0),
    Goal("echo-1m", "ng/asyncio", ("raw/asyncio",), 1.3),
    Goal("echo-32-one", "ng/uvloop", ("picows",), 1.0),
    Goal("echo-32-one", "ng/uvloop", ("picows/uvloop",), 1.0),
    Goal("echo-32-one", "ng/threads", ("raw/thread",), 1.25),
    *_pairs("echo-32-many", 1 / 2),
    *_pairs("echo-64k", 1 / 20),
    *(
        Goal(case, ours, CLIENTS, 1.0)
        for case in ("client-32-many", "client-32-one")
        for ours in ("ng/threads", "ng/asyncio")
    ),
    Goal("tls-32-many", "ng/asyncio", ("picows",), 1.0),
    Goal("tls-32-one", "ng/asyncio", ("picows",), 1.0),
    Goal("tls-64k", "ng/asyncio", ("picows",), 1.0),
    Goal("deflate-1k", "ng/uvloop", ("websockets",), 1 / 2),
    Goal("deflate-1k", "ng/uvloop", ("aiohttp",), 1 / 2),
    Goal("deflate-1k", "ng/uvloop", ("websockets", "aiohttp"), 1.1, size=True),
    Goal("memory-idle", "ng/asyncio", (), 5 * 1024, absolute=True),
    Goal("memory-used", "ng/asyncio", (), 20 * 1024, absolute=True),
    Goal("handshake", "ng/asyncio", ("raw/asyncio",), 1.5),
    Goal("broadcast", "ng/asyncio", ("raw/asyncio",), 1.3),
    Goal("broadcast", "ng/asyncio/hub", ("raw/asyncio",), 1.3),
    Goal("import", "ng", ("websockets",), 1 / 2),
]


def judge(results: Results) -> list[Outcome]:
    """Compare results with the goals of the cases that were run; the furthest from its goal comes first."""
    outcomes = [_judge_one(goal, results[goal.case]) for goal in GOALS if goal.case in results]
    return sorted(outcomes, key=lambda outcome: (outcome.reached is None, -outcome.distance))


def _judge_one(goal: Goal, found: dict[str, Series]) -> Outcome:
    value: Callable[[Series], float] = (lambda s: s.size or 0.0) if goal.size else (lambda s: s.median)
    there = {name: value(found[name]) for name in (goal.ours, *goal.peers) if name in found and found[name].samples}
    peers = {name: there[name] for name in goal.peers if name in there}
    if goal.ours not in there or not (peers or goal.absolute):
        return Outcome(goal, ", ".join(goal.peers), None)
    if goal.absolute:
        return Outcome(goal, "", there[goal.ours])
    best = min(peers, key=peers.__getitem__)
    return Outcome(goal, best, there[goal.ours] / peers[best])
