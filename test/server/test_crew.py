"""Those who were handed over are served until the end, which waits for whoever is about to join."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from test.client.peers import WAIT, Ended, Peer, close_frame, echo_spy, get
from test.many import connected, echoes, eventually
from ws4py_ng.exc import HandshakeError
from ws4py_ng.manager import WebSocketManager
from ws4py_ng.server.crew import CREW_KEY, Crew, crew_of

GOODBYE = (8, b"\x03\xe9Server is shutting down")


@pytest.fixture
def crew() -> Iterator[Crew]:
    found = Crew()
    yield found
    found.close_all()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Connect a peer, whose other end is ``peer.other``."""
    sock, found = connected()
    found.other = sock  # type: ignore[attr-defined]
    with found, sock:
        yield found


def in_a_thread(function: Any) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def test_one_thread_serves_all_and_the_end_closes_them(crew: Crew, peer: Peer) -> None:
    kind = echo_spy()
    with crew.opening(None):
        crew.manage(kind(peer.other))  # type: ignore[attr-defined]
    assert 1 == len(crew)
    assert echoes(peer)
    closing = in_a_thread(crew.close_all)
    assert GOODBYE == peer.take_frame()
    peer.send(close_frame(1001))
    assert Ended(1001, b"") == get(kind.endings)
    assert b"" == peer.take_rest()
    peer.sock.close()
    closing.join(WAIT)
    assert not closing.is_alive()


def test_the_end_waits_for_who_is_about_to_join(crew: Crew, peer: Peer) -> None:
    kind = echo_spy()
    with crew.opening(None):  # and the peer has its 101 already
        closing = in_a_thread(lambda: crew.close_all(WAIT))
        assert eventually(lambda: crew._closed)
        crew.manage(kind(peer.other))  # type: ignore[attr-defined]
    assert GOODBYE == peer.take_frame()
    peer.send(close_frame(1001))
    assert Ended(1001, b"") == get(kind.endings)
    assert b"" == peer.take_rest()
    peer.sock.close()
    closing.join(WAIT)
    assert not closing.is_alive()


def test_the_end_waits_for_a_while_and_who_comes_later_is_closed_at_once(crew: Crew, peer: Peer) -> None:
    first, its_peer = connected()
    with its_peer, crew.opening(None):
        crew.manage(echo_spy()(first))
        crew.close_all(patience=0.01)
        assert crew._manager is not None
        crew._manager.join(WAIT)
        kind = echo_spy()
        crew.manage(kind(peer.other))  # type: ignore[attr-defined]
    assert GOODBYE == peer.take_frame()
    assert b"" == peer.take_rest()
    assert 1006 == get(kind.endings).code


def test_at_the_end_nobody_may_begin(crew: Crew) -> None:
    crew.close_all()
    with pytest.raises(HandshakeError) as caught, crew.opening(None):
        pass
    assert 503 == caught.value.status


def test_where_no_thread_can_be_started_a_websocket_is_closed(
    crew: Crew, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(WebSocketManager, "start", refuse)
    crew.manage(echo_spy()(peer.other))  # type: ignore[attr-defined]
    assert GOODBYE == peer.take_frame()
    assert b"" == peer.take_rest()


def test_a_server_may_have_a_crew_of_its_own(crew: Crew) -> None:
    assert crew is crew_of({CREW_KEY: crew})
    assert crew is not crew_of({}) is crew_of({CREW_KEY: "nonsense"})
