"""Cases: servers that serve a function instead of a class. What the functions do is in scripts.py."""

from __future__ import annotations

import threading
from typing import Any

from .cases_pulling import fill
from .contract import server_case
from .diary import WAIT
from .peers import BINARY, CLOSE, PING, PONG, TEXT, Frame, Peer
from .scripts import latch
from .sides import Served


def functions(row: Any) -> bool:
    return bool(row.functions)


def served(server: Served, script: str, more: str = "", **options: Any) -> Peer:
    return server.peer("/function", query=f"script={script}{more}", **options)


@server_case("A function may serve; when it returns the connection is closed with 1000.", when=functions)
def a_function_serves(server: Served) -> None:
    with served(server, "greet") as peer:
        peer.text("Ada")
        assert Frame(TEXT, b"hello Ada") == peer.message()
        peer.expect_close(1000)
        peer.close(1000)
        peer.expect_end()


@server_case("A function sends, receives with a timeout, and iterates to the end.", when=functions)
def a_function_takes_turns(server: Served) -> None:
    with served(server, "take-turns") as peer:
        assert Frame(TEXT, b"hello") == peer.message()
        peer.text("answer")
        assert "answer" == peer.page.wait("pulled")["text"]
        assert Frame(BINARY, b"go on") == peer.message()
        for i in range(100):
            peer.text(f"{i}")
        peer.finish()
        assert [f"{i}" for i in range(100)] == peer.page.wait("iterated")["texts"]


@server_case("A function that fails closes with 1011, and is logged once; by what is no Exception too.", when=functions)
def a_function_fails(server: Served) -> None:
    for then in ("fail", "odd"):
        with served(server, "greet", f"&then={then}") as peer:
            peer.text("Ada")
            assert Frame(TEXT, b"hello Ada") == peer.message()
            peer.expect_close(1011)
            peer.close(1011)
            peer.expect_end()
            assert "function fails" in peer.page.wait("log")["text"]
            assert 1 == len(peer.page.so_far("log"))


@server_case("A function that lets ConnectionClosed through has not failed.", when=functions)
def a_function_may_be_left(server: Served) -> None:
    with served(server, "greet") as peer:
        peer.reset()
    server.check_alive()
    assert [] == peer.page.so_far("log")


@server_case("While a function is busy, Pings are answered and a Close is.", when=functions)
def a_function_may_be_busy(server: Served) -> None:
    with served(server, "be-busy") as peer:
        assert Frame(TEXT, b"busy") == peer.message()
        peer.send(PING, b"there?")
        assert Frame(PONG, b"there?") == peer.next()
        peer.text("one")
        peer.finish()
        busy = latch(peer.page.tag)
        try:
            busy.touch()
            ended = peer.page.wait("ended")
        finally:
            busy.unlink(missing_ok=True)
        assert (1, 1000) == (ended["count"], ended["code"])


@server_case(
    "A function answers all that came before its peer's Close, or before the end of what its peer sends.",
    when=functions,
)
def a_function_answers_what_came_before_the_end(server: Served) -> None:
    for ends_by_close in (True, False):
        with served(server, "echo") as peer:
            texts = b"".join(peer.frame(TEXT, b"%d" % i) for i in range(100))
            if ends_by_close:
                peer.write(texts + peer.frame(CLOSE, b"\x03\xe8"))
            else:
                peer.write(texts)
                peer.end()
            assert [Frame(TEXT, b"%d" % i) for i in range(100)] == [peer.message() for _ in range(100)]
            if ends_by_close:
                peer.expect_close(1000)
            peer.expect_end()


@server_case("A function takes a large message in pieces.", when=functions, limits={"max_message_size": 1 << 24})
def a_function_takes_pieces(server: Served) -> None:
    with served(server, "take-pieces") as peer:
        assert Frame(TEXT, b"ready") == peer.message()
        peer.send(BINARY, bytes(8 << 20))
        found = peer.page.wait("pieces")
        assert (8 << 20, ["bytes"]) == (found["size"], found["kinds"])
        assert found["longest"] < 1 << 20
        peer.finish()


@server_case("The end of the server is ConnectionClosed with 1001 for a function.", fresh=True, when=functions)
def a_function_is_drained(server: Served) -> None:
    with served(server, "collect") as peer:
        peer.text("one")
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        try:
            peer.expect_close(1001)
            peer.close(1001)
            peer.expect_end()
        finally:
            peer.sock.close()
            stopping.join(WAIT)
        assert not stopping.is_alive()
        ended = peer.page.wait("ended")
        assert (["one"], 1001) == (ended["texts"], ended["code"])


@server_case(
    "A function that goes on does not keep the server from its end, whether its peer has left or not.",
    fresh=True,
    when=functions,
    limits={"close_timeout": 0.5},
)
def a_function_may_not_end(server: Served) -> None:
    with served(server, "be-busy") as peer, served(server, "be-busy") as other:
        latches = [latch(each.page.tag) for each in (peer, other)]
        try:
            assert Frame(TEXT, b"busy") == peer.message() == other.message()
            other.finish()
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            stopping.join(WAIT)
            assert not stopping.is_alive()
            assert [] == peer.page.so_far("ended") == other.page.so_far("ended")
        finally:
            for each in latches:
                each.touch()  # where it is a thread it looks for that still


@server_case(
    "While a function receives nothing, no more than ``max_inbox`` is read of its peer, and all others are served.",
    when=functions,
    limits={"max_inbox": 256 * 1024},
)
def a_function_stops_its_own_peer_only(server: Served) -> None:
    with served(server, "be-busy", receive_buffer=65536) as peer:
        assert Frame(TEXT, b"busy") == peer.message()
        sent = fill(peer)
        server.check_alive()
        busy = latch(peer.page.tag)
        try:
            busy.touch()
            peer.sock.setblocking(True)
            peer.write(sent.rest)
            peer.finish()
            ended = peer.page.wait("ended")
        finally:
            busy.unlink(missing_ok=True)
        assert (sent.count, sent.crc, 1000) == (ended["count"], ended["crc"], ended["code"])
