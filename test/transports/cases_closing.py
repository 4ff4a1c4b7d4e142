"""Cases: the closing handshake, ends without one, errors of the peer and of hooks, drain."""

from __future__ import annotations

import threading
from typing import Any

from .contract import server_case
from .diary import WAIT, Page
from .peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame
from .sides import Served


def expect_closed(server: Served, page: Page, code: int) -> None:
    """See `closed` be called with this code, and see that it was called once."""
    assert code == page.wait("closed")["code"]
    server.check_alive()
    assert 1 == len(page.so_far("closed"))


@server_case("The peer's Close is answered by the same code, `closed` gets code and reason, the connection ends.")
def the_peer_closes(server: Served) -> None:
    for code, reason in ((1000, b""), (1001, b"leaving"), (3000, "grüße".encode()), (4999, b"r" * 123)):
        with server.peer() as peer:
            peer.text("last")
            peer.close(code, reason)
            assert Frame(TEXT, b"last") == peer.message()
            peer.expect_close(code)
            peer.expect_end()
            found = peer.page.wait("closed")
            assert (code, reason.decode()) == (found["code"], found["reason"])
            expect_closed(server, peer.page, code)


@server_case("An empty Close is answered by an empty Close; `closed` gets 1005.")
def the_peer_closes_without_a_code(server: Served) -> None:
    with server.peer() as peer:
        peer.close(None)
        peer.expect_close(None)
        peer.expect_end()
        expect_closed(server, peer.page, 1005)


@server_case("`close` sends code and reason; the peer's answer ends the connection; what is sent too late raises.")
def the_server_closes(server: Served) -> None:
    for when in ("opened", "message"):
        for code, reason in ((1000, ""), (1011, "sorry"), (4000, "Gr%C3%BC%C3%9Fe")):
            with server.peer("/closer", query=f"when={when}&code={code}&reason={reason}") as peer:
                if when == "message":
                    peer.text("go")
                text = peer.expect_close(code)
                assert text == (b"" if not reason else b"sorry" if reason == "sorry" else "Grüße".encode())
                peer.close(code, text)
                peer.expect_end()
                peer.page.wait("refused")
                expect_closed(server, peer.page, code)


@server_case("`close(1005)` sends an empty Close.")
def the_server_closes_without_a_code(server: Served) -> None:
    with server.peer("/closer", query="code=1005") as peer:
        peer.text("go")
        peer.expect_close(None)
        peer.close(None)
        peer.expect_end()
        expect_closed(server, peer.page, 1005)


@server_case("What the peer had sent before it saw our Close is delivered.")
def messages_on_their_way_are_read_while_closing(server: Served) -> None:
    with server.peer("/closer", query="code=1000") as peer:
        peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(3)))
        peer.expect_close(1000)
        peer.close(1000)
        peer.expect_end()
        assert 3 == peer.page.wait("message", 3)["size"] + 2
        expect_closed(server, peer.page, 1000)


@server_case("Frames behind the peer's Close are ignored.")
def nothing_counts_behind_a_close(server: Served) -> None:
    with server.peer() as peer:
        peer.write(peer.frame(CLOSE, b"\x03\xe8") + peer.frame(TEXT, b"more") + peer.frame(PING) + b"\xff" * 100)
        peer.expect_close(1000)
        peer.expect_end()
        expect_closed(server, peer.page, 1000)


@server_case("A FIN without Close gives `closed(1006)`, once, between frames and within one.")
def a_connection_that_ends_is_1006(server: Served) -> None:
    for left in (b"", frame(TEXT, b"x" * 100, mask=True)[:50], frame(TEXT, b"x" * 70000, mask=True)[:5000], b"\x81"):
        with server.peer() as peer:
            peer.write(left)
            peer.end()
            peer.expect_end()
            expect_closed(server, peer.page, 1006)


@server_case("A RST gives `closed(1006)`, once, to hooks that are ``async def`` too.")
def a_connection_that_is_reset_is_1006(server: Served) -> None:
    within = frame(TEXT, b"x" * 100, mask=True)[:50]
    for path, left in (("/echo", b""), ("/echo", within), *([("/async-echo", b"")] if server.row.async_hooks else [])):
        with server.peer(path) as peer:
            peer.text("here")
            assert Frame(TEXT, b"here") == peer.message()
            peer.write(left)
            peer.reset()
            expect_closed(server, peer.page, 1006)


# What the peer sends, as bytes or as a frame without a mask, and the code that answers it.
VIOLATIONS: tuple[tuple[bytes, int], ...] = (
    (frame(TEXT, b"no mask", mask=False), 1002),
    (frame(TEXT, b"", mask=True, rsv=1), 1002),
    (frame(3, b"", mask=True), 1002),
    (frame(11, b"", mask=True), 1002),
    (frame(PING, b"", mask=True, fin=False), 1002),
    (frame(PING, b"x" * 126, mask=True), 1002),
    (frame(CONTINUATION, b"", mask=True), 1002),
    (frame(TEXT, b"a", mask=True, fin=False) + frame(TEXT, b"b", mask=True), 1002),
    (frame(CLOSE, b"\x03", mask=True), 1002),
    (frame(CLOSE, b"\x03\xed", mask=True), 1002),
    (frame(CLOSE, b"\x03\xe8\xff", mask=True), 1007),
    (frame(TEXT, b"\xff", mask=True), 1007),
    (frame(TEXT, b"\xc3", mask=True, fin=False) + frame(CONTINUATION, b"x", mask=True), 1007),
    # Not complete, but wrong already.
    (frame(TEXT, b"\xff" * 100_000, mask=True)[:70_000], 1007),
    (b"\x82\xff" + (64 << 40).to_bytes(8, "big"), 1009),
)


@server_case("What breaks RFC 6455 is answered by 1002, 1007 or 1009, behind the answers to what came before.")
def violations_are_answered_by_their_code(server: Served) -> None:
    for data, code in VIOLATIONS:
        with server.peer() as peer:
            peer.write(peer.frame(TEXT, b"before") + peer.frame(PING, b"p") + data)
            assert Frame(TEXT, b"before") == peer.message()
            assert Frame(PONG, b"p") == peer.next()
            assert peer.expect_close(code), "a reason says what was wrong"
            peer.expect_end()
            expect_closed(server, peer.page, code)


# More than the buffers between two programs hold: whoever sends it is still at it when the server has closed.
MUCH = frame(BINARY, bytes(60_000), mask=True) * 200


@server_case("A peer that still sends when it is closed can read why: no RST swallows the Close.")
def a_close_frame_gets_through_a_peer_that_goes_on_sending(server: Served) -> None:
    with server.peer() as peer:
        peer.write(frame(TEXT, b"\xff", mask=True) + MUCH)
        peer.expect_close(1007)
        peer.expect_end()
        expect_closed(server, peer.page, 1007)


@server_case(
    "Over TLS the same: violations are answered, a Close gets through, and the connection ends well.", tls=True
)
def tls_ends_well(server: Served) -> None:
    for data, code in VIOLATIONS:
        with server.peer() as peer:
            peer.write(peer.frame(TEXT, b"before") + data)
            assert Frame(TEXT, b"before") == peer.message()
            peer.expect_close(code)
            peer.expect_end()
            assert code == peer.page.wait("closed")["code"]
    with server.peer() as peer:
        peer.write(frame(TEXT, b"\xff", mask=True) + MUCH)
        peer.expect_close(1007)
        assert 1007 == peer.page.wait("closed")["code"]


@server_case("Over TLS the same: a connection that ends or is reset is 1006, once.", tls=True)
def tls_may_be_lost(server: Served) -> None:
    with server.peer() as peer:
        peer.text("here")
        assert Frame(TEXT, b"here") == peer.message()
        peer.reset()
        expect_closed(server, peer.page, 1006)
    with server.peer() as peer:
        peer.write(b"\x81")
        peer.sock.unwrap()
        peer.end()
        expect_closed(server, peer.page, 1006)
    with server.peer() as peer:
        peer.sock.close()
        expect_closed(server, peer.page, 1006)


SMALL: dict[str, Any] = {"max_message_size": 1000, "max_fragments": 10}


@server_case("A message over ``max_message_size``, in one frame or many, is 1009.", limits=SMALL)
def limits_are_kept(server: Served) -> None:
    expect_too_big(server, frame(TEXT, b"x" * 1001, mask=True))
    in_two = frame(BINARY, b"x" * 600, mask=True, fin=False) + frame(CONTINUATION, b"x" * 401, mask=True)
    expect_too_big(server, in_two)


@server_case("So is a message of more than ``max_fragments``.", limits=SMALL)
def fragments_are_limited(server: Served) -> None:
    first = frame(TEXT, b"", mask=True, fin=False)
    expect_too_big(server, first + frame(CONTINUATION, b"", mask=True, fin=False) * 10)


def expect_too_big(server: Served, data: bytes) -> None:
    """See what fits be echoed, and what does not be answered by 1009."""
    with server.peer() as peer:
        peer.send(TEXT, b"x" * 1000)
        assert Frame(TEXT, b"x" * 1000) == peer.message()
        peer.write(data)
        peer.expect_close(1009)
        peer.close(1009)  # a host that closes by itself waits for it, for 20 seconds
        peer.expect_end()
        expect_closed(server, peer.page, 1009)


def expect_failure(server: Served, path: str, hook: str, more: str = "") -> None:
    """See an error in a hook close with 1011 and be logged, once."""
    with server.peer(path, query=f"hook={hook}{more}") as peer:
        if hook == "received_message":
            peer.text("go")
        elif hook == "ponged":
            peer.send(PONG, b"go")
        if hook == "closed":
            peer.close(1000)
            peer.expect_close(1000)
        else:
            peer.expect_close(1011)
            peer.close(1011)
        peer.expect_end()
        page = peer.page
        assert f"{hook} fails" in page.wait("log")["text"]
        expect_closed(server, page, 1000 if hook == "closed" else 1011)
        assert [("ERROR", "ws4py_ng")] == [(entry["level"], entry["logger"]) for entry in page.so_far("log")]


@server_case("An exception in any hook is logged once; it closes with 1011, unless the hook is `closed`.")
def an_error_in_a_hook_is_1011(server: Served) -> None:
    for hook in ("opened", "received_message", "closed"):
        expect_failure(server, "/failing", hook)


@server_case("The same for hooks that are ``async def``.", when=lambda row: row.async_hooks)
def an_error_in_an_async_hook_is_1011(server: Served) -> None:
    for hook in ("opened", "received_message", "closed"):
        expect_failure(server, "/async-failing", hook)


@server_case("The same for `ponged`, of either kind.")
def an_error_in_ponged_is_1011(server: Served) -> None:
    for path in ("/failing", *(["/async-failing"] if server.row.async_hooks else [])):
        expect_failure(server, path, "ponged")


@server_case("The same for what is no Exception, as a CancelledError that a hook lets out; nobody else notices.")
def what_is_no_exception_is_1011_too(server: Served) -> None:
    for path in ("/failing", *(["/async-failing"] if server.row.async_hooks else [])):
        for hook in ("opened", "received_message", "closed"):
            expect_failure(server, path, hook, "&odd=1")


@server_case(
    "Hooks may be ``async def``: one after the other, in the order of what came, to the end.",
    when=lambda row: row.async_hooks,
)
def async_hooks_are_awaited(server: Served) -> None:
    with server.peer("/async-echo") as peer:
        peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(1000)))
        for i in range(1000):
            assert Frame(TEXT, b"%d" % i) == peer.message()
        peer.finish(4001)
        expect_closed(server, peer.page, 4001)
        assert 1 == len(peer.page.so_far("opened"))


@server_case(
    "A class with ``async def`` hooks is refused or closed with 1011, and the log says why.",
    when=lambda row: not row.async_hooks,
)
def async_hooks_are_a_type_error(server: Served) -> None:
    page = server.diary.new_page()
    before = len(server.diary.untagged())
    with server.peer_or_refusal("/async-echo", page) as peer:
        if peer.status == 101:
            peer.expect_close(1011)
        else:
            assert 500 == peer.status
    server.check_alive()
    logged = server.diary.untagged()[before:]
    assert any("TypeError" in entry["text"] and "async" in entry["text"] for entry in logged), logged
    server.expected_logs += len(logged)


@server_case(
    "`stop` closes every connection with 1001 and waits for the answers; meanwhile nobody new is served.", fresh=True
)
def drain_closes_all_with_1001(server: Served) -> None:
    peers = [server.peer() for _ in range(5)]
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    try:
        for peer in peers:
            peer.expect_close(1001)
        assert server.status_while_draining() in (None, 503)
        assert stopping.is_alive(), "stop() waits for the answers"
        for peer in peers:
            peer.close(1001)
            peer.expect_end()
            assert 1001 == peer.page.wait("closed")["code"]
    finally:
        for peer in peers:
            peer.sock.close()
        stopping.join(WAIT)
    assert not stopping.is_alive()
    assert [1] * 5 == [len(peer.page.so_far("closed")) for peer in peers]


@server_case(
    "`stop` waits ``close_timeout`` for peers that do not answer, or do not read, then cuts them off.",
    fresh=True,
    limits={"close_timeout": 0.5},
)
def drain_does_not_wait_for_ever(server: Served) -> None:
    with server.peer() as silent, server.peer("/async-flood" if server.row.async_hooks else "/flood") as stuck:
        stuck.text("go")
        assert BINARY == stuck.message().opcode
        with server.socket() as unfinished:
            unfinished.sendall(b"GET / HTTP/1.1\r\nHost:")
            server.stop()
        assert 1001 == int.from_bytes(silent.next().payload[:2], "big")
        silent.page.wait("closed")
        stuck.page.wait("closed")


@server_case("Without an answer the connection ends after ``close_timeout``, with 1006.", limits={"close_timeout": 0.3})
def a_close_that_is_not_answered_ends_all_the_same(server: Served) -> None:
    with server.peer("/closer", query="code=1000") as peer:
        peer.text("go")
        peer.expect_close(1000)
        peer.page.wait("closed")
        expect_closed(server, peer.page, 1006)
