"""Who is in the topics of other processes, as far as these have said so; it knows no bus and no clock.

Each process counts the changes among its members. What it says is one of

    {"is": "here", "v": 7}                                              a sign of life, now and then
    {"is": "change", "from": 5, "v": 7, "joined": [[topic, number, info], ...], "left": [number, ...]}
    {"is": "state", "v": 7, "part": 0, "of": 2, "joined": [...]}        all who are there
    {"is": "ask", "of": [process, ...]}                                 say all who are there; of []: everybody
    {"is": "gone"}                                                      nobody is there any more

A bus may lose any of it. Who sees a count that does not follow on what it has heard asks for the state; who
hears nothing of a process for its ``lifetime`` strikes it out.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

__all__ = ["Absentee", "Roster"]

logger = logging.getLogger("ws4py_ng")

# So many members of other processes are remembered, and so many processes.
MAX_MEMBERS = 100_000
MAX_PROCESSES = 1024


class Absentee(NamedTuple):
    """Be a member of another process."""

    process: str
    topic: str
    info: object


class _Process:
    """Hold what one process has said. ``version`` is None until all of its state has come."""

    def __init__(self, now: float) -> None:
        self.version: int | None = None
        self.heard = now
        self.asked: float | None = None
        self.members: dict[int, Absentee] = {}
        self.parts: dict[int, list[Any]] = {}
        self.parts_of: tuple[int, int] | None = None


class Roster:
    """Believe what processes say of themselves; ``now`` is in seconds.

    A process is asked for its state once in ``lifetime / 4``. ``events`` are for who reads them: who has
    come (True) or gone, in that order.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._processes: dict[str, _Process] = {}
        self._topics: dict[str, dict[tuple[str, int], Absentee]] = {}
        self._count = 0
        self._is_full = False
        self.events: list[tuple[bool, Absentee]] = []

    @property
    def processes(self) -> int:
        """How many other processes there are."""
        return len(self._processes)

    @property
    def members(self) -> int:
        """How often somebody is in a topic there."""
        return self._count

    def present(self, topic: str) -> list[Absentee]:
        """Tell who of other processes is in a topic."""
        return list(self._topics.get(topic, {}).values())

    def hear(self, process: str, said: dict[str, Any], now: float) -> bool:
        """Believe it; True if that process is to be asked for its state. Raises ValueError and such for nonsense."""
        kind = said["is"]
        if kind == "gone":
            self._strike_out(process)
            return False
        found = self._processes.get(process)
        if found is None:
            if len(self._processes) >= MAX_PROCESSES:
                return False
            found = self._processes[process] = _Process(now)
        found.heard = now
        version = int(said["v"])
        if kind == "state":
            self._take_part(process, found, version, said)
            return False
        if kind == "change" and found.version == int(said["from"]):
            found.version = version
            self._add(process, found, said["joined"])
            self._remove(process, found, said["left"])
        if found.version == version or (found.asked is not None and now < found.asked + self._lifetime / 4):
            return False
        found.asked = now
        return True

    def _take_part(self, process: str, found: _Process, version: int, said: dict[str, Any]) -> None:
        if found.version == version:
            return  # somebody else has asked
        part, of = int(said["part"]), int(said["of"])
        if found.parts_of != (version, of):
            found.parts_of, found.parts = (version, of), {}
        has_room = sum(map(len, found.parts.values())) <= MAX_MEMBERS
        found.parts[part] = said["joined"] if has_room else []
        if len(found.parts) < of:
            return
        whole = [entry for _, entries in sorted(found.parts.items()) for entry in entries]
        found.parts_of, found.parts = None, {}
        found.version = version
        there = {int(entry[1]) for entry in whole}
        self._remove(process, found, [number for number in found.members if number not in there])
        self._add(process, found, whole)

    def _add(self, process: str, found: _Process, entries: list[Any]) -> None:
        for topic, number, info in entries:
            if number in found.members:
                continue
            if self._count >= MAX_MEMBERS:
                if not self._is_full:
                    logger.warning("Of other processes %d members are known; more are passed over", MAX_MEMBERS)
                self._is_full = True
                return
            member = found.members[int(number)] = Absentee(process, str(topic), info)
            self._topics.setdefault(member.topic, {})[process, number] = member
            self._count += 1
            self.events.append((True, member))

    def _remove(self, process: str, found: _Process, numbers: list[int]) -> None:
        for number in numbers:
            member = found.members.pop(number, None)
            if member is None:
                continue
            there = self._topics[member.topic]
            del there[process, number]
            if not there:
                del self._topics[member.topic]
            self._count -= 1
            self._is_full = False
            self.events.append((False, member))

    def _strike_out(self, process: str) -> None:
        found = self._processes.pop(process, None)
        if found is not None:
            self._remove(process, found, list(found.members))

    def expire(self, now: float) -> None:
        """Strike out who was silent for too long."""
        for process in [name for name, each in self._processes.items() if now >= each.heard + self._lifetime]:
            logger.warning("Process %s is silent for %g s: its members are struck out", process, self._lifetime)
            self._strike_out(process)

    def bear_with(self, now: float) -> None:
        """Hold nobody's silence against him up to now: nothing could be heard."""
        for each in self._processes.values():
            each.heard = now
