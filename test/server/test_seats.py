"""So many WebSockets are let in at once, and who has left makes room."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from ws4py_ng.exc import HandshakeError
from ws4py_ng.server.seats import Seats
from ws4py_ng.websocket import WebSocket


class Same(WebSocket):
    """Be equal to all, and thereby not to be hashed."""

    def __eq__(self, other: object) -> bool:
        return True


def test_no_more_than_so_many_are_let_in() -> None:
    seats, inside = Seats(), [Same(None), Same(None)]
    for ws in inside:
        seats.take(ws, 2)
    with pytest.raises(HandshakeError, match="There are 2 connections already") as caught:
        seats.take(Same(None), 2)
    assert 503 == caught.value.status


@pytest.mark.parametrize("leave", [lambda inside: inside[0].terminate(), lambda inside: inside.clear()])
def test_who_has_left_makes_room_for_one(leave: Callable[[list[WebSocket]], object]) -> None:
    seats, inside = Seats(), [WebSocket(None), WebSocket(None)]
    for ws in inside:
        seats.take(ws, 2)
    leave(inside)
    gc.collect()
    inside.append(WebSocket(None))
    seats.take(inside[-1], 2)
    with pytest.raises(HandshakeError):
        seats.take(WebSocket(None), 2)
