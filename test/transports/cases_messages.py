"""Cases: messages and control frames, both ways."""

from __future__ import annotations

import zlib

from .contract import server_case
from .peers import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, frame, pattern
from .sides import Served

MIB = 1024 * 1024
SIZES = (0, 1, 125, 126, 127, 65535, 65536, 70001, MIB)


@server_case("Text of 0 bytes to 1 MiB is delivered and sent as it is.")
def echo_text_of_every_size(server: Served) -> None:
    with server.peer() as peer:
        for size in SIZES:
            peer.send(TEXT, pattern(size))
            assert Frame(TEXT, pattern(size)) == peer.message()
        peer.text("grüße \N{SNOWMAN} \U0001f300")
        assert "grüße \N{SNOWMAN} \U0001f300".encode() == peer.message().payload
        peer.finish()


@server_case("Bytes of 0 bytes to 1 MiB are delivered and sent as they are.")
def echo_binary_of_every_size(server: Served) -> None:
    with server.peer() as peer:
        for size in SIZES:
            payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
            peer.send(BINARY, payload)
            assert Frame(BINARY, payload) == peer.message()
        peer.finish()


@server_case("A message of 16 MiB passes where the limit allows it.", limits={"max_message_size": 16 * MIB})
def echo_16_mib(server: Served) -> None:
    with server.peer() as peer:
        payload = pattern(16 * MIB)
        peer.send(BINARY, payload)
        found = peer.message()
        assert (BINARY, len(payload), zlib.crc32(payload)) == (
            found.opcode,
            len(found.payload),
            zlib.crc32(found.payload),
        )
        peer.finish()


@server_case("Fragments make one message, empty ones and split characters too.")
def fragments_are_joined(server: Served) -> None:
    with server.peer() as peer:
        snow = "\N{SNOWMAN}".encode()
        peer.send(TEXT, b"", fin=False)
        peer.send(CONTINUATION, snow[:1], fin=False)
        peer.send(CONTINUATION, b"", fin=False)
        peer.send(CONTINUATION, snow[1:])
        assert Frame(TEXT, snow) == peer.message()
        peer.send(BINARY, b"\xff" * 70000, fin=False)
        peer.send(CONTINUATION, b"\xfe" * 200)
        assert Frame(BINARY, b"\xff" * 70000 + b"\xfe" * 200) == peer.message()
        peer.finish()


@server_case("An iterable is one message, a frame for each piece.")
def an_iterable_is_sent_in_fragments(server: Served) -> None:
    with server.peer("/fragments") as peer:
        peer.text("one two three")
        assert Frame(TEXT, b"one", fin=False) == peer.next()
        assert Frame(CONTINUATION, b"two", fin=False) == peer.next()
        assert Frame(CONTINUATION, b"three") == peer.next()
        peer.send(BINARY, b"\xff \xfe")
        assert Frame(BINARY, b"\xff\xfe") == peer.message()
        peer.finish()


@server_case(
    "So is an async iterator; control frames pass between its pieces, messages wait behind it.",
    when=lambda row: row.async_hooks,
)
def an_async_iterator_is_sent_in_fragments(server: Served) -> None:
    with server.peer("/async-fragments") as peer:
        for _ in range(3):
            peer.text("one two")
            expected = [
                Frame(PING, b"between"),
                Frame(PING, b"between"),
                Frame(TEXT, b"one", fin=False),
                Frame(CONTINUATION, b"two", fin=False),
                Frame(CONTINUATION, b""),
                Frame(TEXT, b"behind"),
            ]
            found = [peer.next() for _ in expected]
            assert [each for each in found if each.opcode == PING] == expected[:2]
            assert [each for each in found if each.opcode != PING] == expected[2:]
        peer.finish()


@server_case("A Ping between two fragments has its Pong before the message ends.")
def a_ping_within_a_message_is_answered_at_once(server: Served) -> None:
    with server.peer() as peer:
        peer.send(TEXT, b"he", fin=False)
        for payload in (b"", b"x" * 125):
            peer.send(PING, payload)
            assert Frame(PONG, payload) == peer.next()
        peer.send(CONTINUATION, b"llo")
        assert Frame(TEXT, b"hello") == peer.message()
        peer.finish()


@server_case("Messages and Pings of one segment are answered in their order.")
def what_comes_at_once_is_answered_in_order(server: Served) -> None:
    with server.peer() as peer:
        peer.write(b"".join(peer.frame(TEXT, b"%d" % i) + peer.frame(PING, b"%d" % i) for i in range(500)))
        for i in range(500):
            assert Frame(TEXT, b"%d" % i) == peer.next()
            assert Frame(PONG, b"%d" % i) == peer.next()
        peer.finish()


@server_case("A frame may come a byte at a time.")
def bytes_may_come_one_by_one(server: Served) -> None:
    with server.peer() as peer:
        for byte in peer.frame(TEXT, b"slowly") + peer.frame(BINARY, b"x" * 130):
            peer.write(bytes([byte]))
        assert Frame(TEXT, b"slowly") == peer.message()
        assert Frame(BINARY, b"x" * 130) == peer.message()
        peer.finish()


@server_case("Frames that come in one segment with the request are answered.")
def bytes_behind_the_handshake_are_not_lost(server: Served) -> None:
    behind = b"".join(frame(TEXT, b"early %d" % i, mask=True) for i in range(3))
    with server.peer(behind=behind) as peer:
        for i in range(3):
            assert Frame(TEXT, b"early %d" % i) == peer.message()
        peer.finish()


@server_case("What `opened` sends comes before the answer to the first message.")
def opened_may_send(server: Served) -> None:
    with server.peer("/greet") as peer:
        peer.text("hi")
        assert Frame(TEXT, b"welcome") == peer.message()
        assert Frame(TEXT, b"hi") == peer.message()
        peer.finish()
        peer.page.wait("closed")
        assert 1 == len(peer.page.so_far("opened"))


@server_case("A Pong that answers no Ping of the keepalive comes to `ponged`, ``async def`` or not.")
def a_pong_is_noticed(server: Served) -> None:
    for path in ("/echo", *(["/async-echo"] if server.row.async_hooks else [])):
        with server.peer(path) as peer:
            peer.send(PONG, b"unasked")
            assert "unasked" == peer.page.wait("ponged")["data"]
            peer.finish()


@server_case("permessage-deflate is agreed on and used, with its context from message to message.", deflate=True)
def deflate_works_both_ways(server: Served) -> None:
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    with server.peer(headers=offer) as peer:
        assert "permessage-deflate" in dict(peer.headers)["sec-websocket-extensions"]
        peer.deflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        for payload in (b"hello " * 1000, b"hello " * 1000, pattern(300_000)):
            peer.send(TEXT, peer.compress(payload), rsv=4)
            assert Frame(TEXT, payload) == peer.message()
        peer.send(TEXT, b"plain")
        assert b"plain" == peer.message().payload
        data = peer.compress(b"in fragments " * 100)
        peer.send(BINARY, data[:5], fin=False, rsv=4)
        peer.send(CONTINUATION, data[5:])
        assert Frame(BINARY, b"in fragments " * 100) == peer.message()
        peer.finish()


@server_case("What can be compressed is compressed.", deflate=True)
def deflate_saves_bytes(server: Served) -> None:
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    with server.peer(headers=offer) as peer:
        peer.deflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        peer.send(TEXT, b"a" * 100_000)
        found = peer.next()
        assert found.rsv == 4
        assert len(found.payload) < 1000
        peer.finish()


@server_case("A server without deflate answers the offer with nothing, and the reserved bit by 1002.")
def deflate_is_not_used_unless_agreed(server: Served) -> None:
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    with server.peer(headers=offer) as peer:
        assert "sec-websocket-extensions" not in dict(peer.headers)
        peer.send(TEXT, b"x", rsv=4)
        peer.expect_close(1002)
        peer.expect_end()


@server_case("Over TLS: small, large, many at once, and a good end with TLS's own.", tls=True)
def tls_carries_it_all(server: Served) -> None:
    with server.peer() as peer:
        peer.text("private")
        assert Frame(TEXT, b"private") == peer.message()
        peer.send(BINARY, pattern(MIB))
        assert Frame(BINARY, pattern(MIB)) == peer.message()
        peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(2000)))
        assert [b"%d" % i for i in range(2000)] == [peer.message().payload for _ in range(2000)]
        peer.finish()
        assert 1000 == peer.page.wait("closed")["code"]


@server_case("A thread that is not the server's may send, or is told at once that it may not.")
def a_thread_may_send(server: Served) -> None:
    with server.peer("/from-thread") as peer:
        peer.text("go")
        peer.page.wait("told")
        if not peer.page.so_far("raised"):
            assert [b"%d" % i for i in range(100)] == [peer.message().payload for _ in range(100)]
        else:
            assert "thread" in peer.page.so_far("raised")[0]["text"]
        peer.finish()


@server_case("A program may call its own things session, tick, state, and what else it likes.")
def names_are_the_programs_own(server: Served) -> None:
    with server.peer("/names") as peer:
        peer.text("hello")
        assert Frame(TEXT, b"hello") == peer.message()
        peer.finish()
