"""A hub on every kind of server: who reads gets everything, who does not harms nobody and is parted with."""

from __future__ import annotations

import json
import socket
import ssl
import sys
from typing import Any

import pytest

from test.client.peers import WAIT, Peer, frame, request
from test.programs import Program

from .site import KINDS

SIZE = 300_000
READERS = 5
# gevent's servers are for one thread.
VERBS = {kind: ("publish",) if kind == "gevent" else ("publish", "thread") for kind in KINDS}


def joined(port: int, tls: bool, *, small: bool = False, topic: str = "news") -> Peer:
    """Connect a member; a ``small`` one has little room for what it does not read."""
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(WAIT)
    sock.connect(("127.0.0.1", port))
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the program's authority is its own
        sock = context.wrap_socket(sock)
    peer = Peer(sock)
    peer.send(request(port=port, line=f"GET /?topic={topic} HTTP/1.1"))
    assert b" 101 " in peer.take_head()
    assert (1, b"welcome") == peer.take_frame()
    return peer


def ask(peer: Peer, text: str) -> None:
    peer.send(frame(1, text.encode()))


def status_of(peer: Peer) -> dict[str, Any]:
    ask(peer, "status")
    found: dict[str, Any] = json.loads(peer.take_frame()[1])
    return found


@pytest.mark.parametrize(("kind", "verb"), [(kind, verb) for kind, verbs in VERBS.items() for verb in verbs])
def test_who_reads_gets_everything_and_who_does_not_harms_nobody(kind: str, verb: str) -> None:
    with Program([sys.executable, "-m", "test.pubsub.site", kind]) as program:
        port, tls = int(program.line().rpartition(" ")[2]), kind.endswith("tls")
        boss = joined(port, tls, topic="other")
        readers = [joined(port, tls) for _ in range(READERS)]
        stuck = joined(port, tls, small=True)
        assert (2, READERS + 2) == (status_of(boss)["topics"], status_of(boss)["members"])
        published = 0
        while published < 200:
            ask(boss, f"{verb} {published} {SIZE}")
            expected = published.to_bytes(4, "big") + bytes(SIZE - 4)
            for reader in readers:
                assert (2, expected) == reader.take_frame()
            published += 1
            status = status_of(boss)
            if status["dropped"]["close"]:
                break
        assert 1 == status["dropped"]["close"]
        assert READERS + 1 == status["members"]
        # It has got the first of them, each whole and in its order, and perhaps the reason in the end.
        number = 0
        while (got := stuck.take_frame())[0] == 2:
            assert (number, SIZE) == (int.from_bytes(got[1][:4], "big"), len(got[1]))
            number += 1
        assert (8, b"\x03\xf5") == (got[0], got[1][:2])
        assert 0 < number < published
        for peer in (boss, *readers, stuck):
            peer.sock.close()


@pytest.mark.parametrize("kind", KINDS)
def test_who_reads_late_gets_what_waited(kind: str) -> None:
    with Program([sys.executable, "-m", "test.pubsub.site", kind]) as program:
        port, tls = int(program.line().rpartition(" ")[2]), kind.endswith("tls")
        boss = joined(port, tls, topic="other")
        late = joined(port, tls, small=True)
        published = 0
        while not status_of(boss)["pending_messages"] and published < 200:
            ask(boss, f"publish {published} {SIZE}")
            published += 1
        assert published < 200
        for number in range(published):
            got = late.take_frame()
            assert (2, number, SIZE) == (got[0], int.from_bytes(got[1][:4], "big"), len(got[1]))
        ask(boss, f"publish 77 {SIZE}")
        assert 77 == int.from_bytes(late.take_frame()[1][:4], "big")
        for peer in (boss, late):
            peer.sock.close()
