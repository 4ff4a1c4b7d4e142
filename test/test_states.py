"""The closing handshake as a table: all that can happen, and nothing else."""

from __future__ import annotations

import itertools

import pytest

from ws4py_ng.states import NEXT, Event, State

TABLE = """
    CONNECTING  OPENED          OPEN
    CONNECTING  ENDED           CLOSED
    OPEN        CLOSE_SENT      CLOSING
    OPEN        CLOSE_RECEIVED  PEER_CLOSED
    OPEN        FAILED          ENDING
    OPEN        ENDED           CLOSED
    CLOSING     CLOSE_RECEIVED  ENDING
    CLOSING     FAILED          ENDING
    CLOSING     ENDED           CLOSED
    PEER_CLOSED CLOSE_SENT      ENDING
    PEER_CLOSED FAILED          ENDING
    PEER_CLOSED ENDED           CLOSED
    ENDING      ENDED           CLOSED
"""
ROWS = {(State[row[0]], Event[row[1]]): State[row[2]] for row in map(str.split, TABLE.strip().splitlines())}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_an_event_moves_a_state_or_does_not_count(state: State, event: Event) -> None:
    assert ROWS.get((state, event)) is NEXT.get((state, event))


def test_nothing_leaves_the_last_state() -> None:
    assert [] == [event for state, event in NEXT if state is State.CLOSED]


def test_every_state_can_end() -> None:
    assert set(State) - {State.CLOSED} == {state for state, event in NEXT if event is Event.ENDED}


def test_no_event_moves_in_a_circle() -> None:
    order = list(State)
    assert all(order.index(after) > order.index(before) for (before, _), after in NEXT.items())
