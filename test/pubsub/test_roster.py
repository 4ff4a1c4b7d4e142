"""What is believed of other processes: by their counts, in bounds, and for as long as they are alive."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ws4py_ng.pubsub import roster
from ws4py_ng.pubsub.roster import Absentee, Roster

ADA, BOB, EVE = ["a", 1, "Ada"], ["a", 2, "Bob"], ["b", 3, "Eve"]


def here(version: int) -> dict[str, Any]:
    return {"is": "here", "v": version}


def change(since: int, version: int, *joined: list[Any], left: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"is": "change", "from": since, "v": version, "joined": list(joined), "left": list(left)}


def state(version: int, *joined: list[Any], part: int = 0, of: int = 1) -> dict[str, Any]:
    return {"is": "state", "v": version, "part": part, "of": of, "joined": list(joined)}


def names(found: Roster, topic: str = "a") -> list[object]:
    return [each.info for each in found.present(topic)]


# What is said, one after the other, a second apart; whether each lets the process be asked; who is in topic a then.
SAID: dict[str, list[tuple[dict[str, Any], bool, list[str]]]] = {
    "state, then changes": [
        (state(2, ADA, EVE), False, ["Ada"]),
        (change(2, 3, BOB), False, ["Ada", "Bob"]),
        (change(3, 5, left=(1, 3)), False, ["Bob"]),
        (here(5), False, ["Bob"]),
    ],
    "a sign of life of somebody unknown": [(here(0), True, []), (state(0), False, []), (here(0), False, [])],
    "a change is lost": [
        (state(1, ADA), False, ["Ada"]),
        (change(2, 3, EVE), True, ["Ada"]),
        (state(3, ADA, BOB), False, ["Ada", "Bob"]),
    ],
    "a change is lost, and a sign of life shows it": [(state(1, ADA), False, ["Ada"]), (here(2), True, ["Ada"])],
    "who did not answer is asked again, but not at once": [
        (here(1), True, []),
        (here(1), False, []),
        (here(1), False, []),
        (here(1), True, []),
    ],
    "a state in parts counts when all are there": [
        (state(4, ADA), False, ["Ada"]),
        (state(5, BOB, part=1, of=2), False, ["Ada"]),
        (state(5, EVE, part=0, of=2), False, ["Bob"]),
    ],
    "a part of an older state is lost": [
        (state(4, ADA, part=0, of=2), False, []),
        (state(5, BOB, part=1, of=2), False, []),
        (state(5, EVE, part=0, of=2), False, ["Bob"]),
    ],
    "a state that somebody else has asked for": [(state(1, ADA), False, ["Ada"]), (state(1), False, ["Ada"])],
    "somebody joins and leaves in one change": [(state(0), False, []), (change(0, 2, ADA, left=(1,)), False, [])],
    "somebody unknown leaves": [(state(0), False, []), (change(0, 1, left=(7,)), False, [])],
    "the end": [(state(1, ADA), False, ["Ada"]), ({"is": "gone"}, False, []), ({"is": "gone"}, False, [])],
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_what_a_process_says_is_believed_if_it_follows(said: list[tuple[dict[str, Any], bool, list[str]]]) -> None:
    found = Roster(12)
    for now, (each, asks, expected) in enumerate(said):
        assert asks == found.hear("p", each, now)
        assert expected == names(found)
    assert found.members == len(found._topics.get("a", ())) + len(found._topics.get("b", ()))


def test_events_tell_what_has_changed_and_no_more() -> None:
    found = Roster(9)
    found.hear("p", state(2, ADA, EVE), 0)
    found.hear("p", state(4, BOB, EVE), 0)
    ada, bob, eve = (Absentee("p", each[0], each[2]) for each in (ADA, BOB, EVE))
    assert [(True, ada), (True, eve), (False, ada), (True, bob)] == found.events


def test_who_is_silent_is_struck_out_and_others_stay() -> None:
    found = Roster(9)
    found.hear("p", state(1, ADA), 0)
    found.hear("q", state(1, BOB), 1)
    found.expire(8.9)
    assert ["Ada", "Bob"] == names(found)
    found.expire(9)
    assert (["Bob"], 1, 1) == (names(found), found.processes, found.members)
    found.bear_with(9)
    found.expire(17.9)
    assert ["Bob"] == names(found)
    found.expire(18)
    assert ([], 0, {}) == (names(found), found.members, found._topics)


def test_members_and_processes_are_bounded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(roster, "MAX_MEMBERS", 2)
    monkeypatch.setattr(roster, "MAX_PROCESSES", 2)
    found = Roster(9)
    with caplog.at_level(logging.WARNING, "ws4py_ng"):
        found.hear("p", state(3, ADA, BOB, EVE), 0)
    assert (["Ada", "Bob"], 2) == (names(found), found.members)
    assert "Of other processes 2 members are known; more are passed over" in caplog.text
    assert not found.hear("p", here(3), 0)  # it is not asked again for what there is no room for
    found.hear("p", change(3, 4, left=(1,)), 0)
    found.hear("q", state(1, ["a", 1, "Zoe"]), 0)
    assert ["Bob", "Zoe"] == names(found)
    assert not found.hear("r", here(1), 0)
    assert 2 == found.processes


@pytest.mark.parametrize(
    "said", [{}, {"is": "here"}, {"is": "here", "v": "x"}, {"is": "state", "v": 1}, state(1, ["a", 1])]
)
def test_nonsense_is_an_error(said: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Roster(9).hear("p", said, 0)
