"""Receiving what a manager's thread reads, which never waits: it does not read who has enough."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from test.client.peers import WAIT, client_context, close_frame, echo_spy, frame, server_context
from test.many import POLLERS, CountingPoller, Many, echoes, eventually, managing
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import Limits
from ws4py_ng.receiving import BlockingReceiver
from ws4py_ng.websocket import WebSocket

COUNT = 3000
LIMIT = 8192
PAYLOAD = b"p" * 100
# What a message counts for, at most: itself and its place.
ONE = 1024


class Pulled(BlockingReceiver, WebSocket):
    """Be received from by the test."""


@pytest.fixture(params=POLLERS)
def many(request: pytest.FixtureRequest) -> Iterator[Many]:
    with managing(request.param()) as found:
        yield found


def pulled(many: Many, **options: Any) -> tuple[Any, Any]:
    limits = Limits(max_inbox=LIMIT, ping_interval=0.25, ping_timeout=0.5, close_timeout=WAIT)
    return many.join(Pulled, limits, **options)


def is_full(ws: Any) -> bool:
    return eventually(lambda: ws._transport.paused)


def kept(ws: Any) -> int:
    return int(ws._inbox._size)


def received_of(ws: Any) -> tuple[list[bytes], int]:
    """Receive to the end: the messages, and its code."""
    found: list[bytes] = []
    while True:
        try:
            found.append(ws.receive(timeout=WAIT).data)
        except ConnectionClosed as closed:
            return found, closed.code


@pytest.mark.parametrize("secure", [False, True])
def test_who_has_enough_is_not_read_and_all_others_are(many: Many, secure: bool) -> None:
    contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = (server_context(), client_context()) if secure else None
    ws, peer = pulled(many, context=contexts)
    _, other = many.join(echo_spy())
    frames = b"".join(frame(1, b"%d" % number + PAYLOAD) for number in range(COUNT))
    sending = threading.Thread(target=peer.send, args=[frames + close_frame(1000)])
    sending.start()
    assert is_full(ws)
    assert echoes(other)
    assert kept(ws) <= LIMIT + ONE
    for number in range(COUNT):
        assert b"%d" % number + PAYLOAD == ws.receive(timeout=WAIT).data
        assert kept(ws) <= LIMIT + ONE
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive(timeout=WAIT)
    assert 1000 == caught.value.code
    sending.join(WAIT)
    while (found := peer.take_frame())[0] == 9:
        pass
    assert (8, b"\x03\xe8") == found


def test_a_close_of_ours_needs_no_room(many: Many) -> None:
    ws, peer = pulled(many)
    peer.send(frame(1, PAYLOAD) * COUNT)
    assert is_full(ws)
    ws.close(4000)
    while (found := peer.take_frame())[0] == 9:
        pass
    assert (8, b"\x0f\xa0") == found
    peer.send(close_frame(4000))
    received, code = received_of(ws)
    assert 4000 == code
    assert [PAYLOAD] * len(received) == received
    assert 0 < len(received) < COUNT
    assert b"" == peer.take_rest()


def test_the_end_of_the_manager_needs_no_room() -> None:
    with managing() as many:
        ws, peer = pulled(many)
        peer.send(frame(1, PAYLOAD) * COUNT)
        assert is_full(ws)
        peer.sock.close()
    received, code = received_of(ws)
    assert 1006 == code
    assert 0 < len(received) < COUNT


def test_nothing_spins_while_a_peer_is_not_read() -> None:
    poller = CountingPoller()
    with managing(poller) as many:
        ws, peer = pulled(many)
        peer.send(frame(1, PAYLOAD) * COUNT)
        assert is_full(ws)
        assert poller.is_quiet()
