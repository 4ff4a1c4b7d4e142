"""Cases: what every kind of client keeps, against a server of bytes."""

from __future__ import annotations

import zlib

from .contract import client_case
from .diary import Page
from .peers import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame, pattern
from .sides import Client

MIB = 1024 * 1024


def expect_closed(client: Client, code: int) -> None:
    """See `closed` be called with this code; when the client has ended, see that it was once."""
    assert code == client.page.wait("closed")["code"]
    client.close()
    assert 1 == len(client.page.so_far("closed"))


def expect_failed(client: Client, kind: str) -> dict[str, object]:
    """See `connect` raise this, or a kind of it."""
    failed = client.page.wait("failed")
    assert kind in failed["kinds"], failed
    client.close()
    assert [] == client.page.so_far("opened") + client.page.so_far("closed")
    return failed


# Messages


@client_case("Text and bytes of 0 bytes to 1 MiB pass as they are; what is sent is masked, with ever new keys.")
def client_echoes_every_size(client: Client) -> None:
    with client.peer("echo") as peer:
        for size in (0, 1, 125, 126, 65535, 65536, MIB):
            peer.send(TEXT, pattern(size))
            assert Frame(TEXT, pattern(size)) == peer.message()
            peer.send(BINARY, pattern(size)[::-1])
            assert Frame(BINARY, pattern(size)[::-1]) == peer.message()
        assert len(peer.mask_keys) == len(set(peer.mask_keys)) > 10
        peer.finish()
        expect_closed(client, 1000)


@client_case("A message of 16 MiB passes where the limit allows it.", limits={"max_message_size": 16 * MIB})
def client_echoes_16_mib(client: Client) -> None:
    with client.peer("echo") as peer:
        payload = pattern(16 * MIB)
        peer.send(BINARY, payload)
        found = peer.message()
        assert (len(payload), zlib.crc32(payload)) == (len(found.payload), zlib.crc32(found.payload))
        peer.finish()


@client_case("Fragments are joined, a Ping between them is answered at once; an iterable is sent in fragments.")
def client_joins_and_sends_fragments(client: Client) -> None:
    with client.peer("fragments") as peer:
        peer.send(TEXT, b"one tw", fin=False)
        peer.send(PING, b"now")
        assert Frame(PONG, b"now") == peer.next()
        peer.send(CONTINUATION, b"o", fin=False)
        peer.send(CONTINUATION, b" three")
        assert [(TEXT, False), (CONTINUATION, False), (CONTINUATION, True)] == [
            (found.opcode, found.fin) for found in (peer.next() for _ in range(3))
        ]
        peer.finish()


@client_case("Frames that come in one segment with the 101 are not lost, a Close among them.")
def client_reads_behind_the_handshake(client: Client) -> None:
    behind = b"".join(frame(TEXT, b"%d" % i, mask=False) for i in range(3)) + frame(CLOSE, b"\x0f\xa0bye", mask=False)
    with client.peer("echo", behind=behind) as peer:
        for i in range(3):
            assert Frame(TEXT, b"%d" % i) == peer.message()
        peer.expect_close(4000, b"bye")
        peer.sock.close()
        expect_closed(client, 4000)


@client_case("What `opened` sends is the first message.")
def client_opened_may_send(client: Client) -> None:
    with client.peer("greet") as peer:
        assert Frame(TEXT, b"welcome") == peer.message()
        peer.finish()
        expect_closed(client, 1000)


@client_case("permessage-deflate is offered, and used when the server agrees.", deflate=True)
def client_deflates(client: Client) -> None:
    client.start("echo")
    peer = client.accept()
    with peer:
        assert "permessage-deflate" in dict(peer.headers)["sec-websocket-extensions"]
        client.answer(peer, ("Sec-WebSocket-Extensions", "permessage-deflate"))
        peer.deflate = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        for payload in (b"hello " * 1000, b"hello " * 1000, pattern(300_000)):
            peer.send(TEXT, peer.compress(payload), rsv=4)
            assert Frame(TEXT, payload) == peer.message()
        peer.finish()


# Closing


@client_case("The server's Close is answered; `closed` gets code and reason when the server has hung up.")
def client_is_closed(client: Client) -> None:
    with client.peer() as peer:
        peer.text("last")
        peer.close(3001, "grüße".encode())
        peer.expect_close(3001)
        peer.sock.close()
        closed = client.page.wait("closed")
        assert "grüße" == closed["reason"]
        assert 1 == len(client.page.so_far("message"))
        expect_closed(client, 3001)


@client_case("An empty Close is answered by an empty one; `closed` gets 1005.")
def client_is_closed_without_a_code(client: Client) -> None:
    with client.peer() as peer:
        peer.close(None)
        peer.expect_close(None)
        peer.sock.close()
        expect_closed(client, 1005)


@client_case("`close` sends code and reason; `closed` gets what the server answers; what is sent too late raises.")
def client_closes(client: Client) -> None:
    with client.peer("closer", "code=4002&reason=enough") as peer:
        peer.text("go")
        peer.expect_close(4002, b"enough")
        peer.close(4002, b"enough")
        peer.sock.close()
        client.page.wait("refused")
        expect_closed(client, 4002)


@client_case(
    "A server that does not answer the Close, or does not hang up, is left after ``close_timeout``.",
    limits={"close_timeout": 0.3},
)
def client_does_not_wait_for_ever(client: Client) -> None:
    with client.peer("closer", "code=1000") as peer:
        peer.text("go")
        peer.expect_close(1000)
        expect_closed(client, 1006)


@client_case("A FIN without Close is 1006.")
def client_loses_the_connection(client: Client) -> None:
    with client.peer() as peer:
        peer.text("x")
        client.page.wait("message")
        peer.write(b"\x81")
        peer.sock.close()
        expect_closed(client, 1006)


@client_case("A RST is 1006.")
def client_is_reset(client: Client) -> None:
    with client.peer() as peer:
        peer.text("x")
        client.page.wait("message")
        peer.reset()
        expect_closed(client, 1006)


def _violation(data: bytes, code: int) -> None:
    def case(client: Client) -> None:
        with client.peer("echo") as peer:
            peer.write(peer.frame(TEXT, b"before") + data)
            assert Frame(TEXT, b"before") == peer.message()
            peer.expect_close(code)
            peer.sock.close()
            expect_closed(client, code)

    names = {1002: "a_protocol_error", 1007: "bad_text", 1009: "too_much"}
    case.__name__ = f"client_answers_{names[code]}"
    sentence = f"What the server may not send is answered by {code}, behind what came before."
    client_case(sentence, limits={"max_message_size": MIB})(case)


_violation(frame(TEXT, b"masked", mask=True), 1002)
_violation(frame(TEXT, b"\xff", mask=False), 1007)
_violation(frame(TEXT, b"x" * (MIB + 1), mask=False)[:20], 1009)


@client_case("An exception in a hook closes with 1011 and is logged once.")
def client_hook_fails(client: Client) -> None:
    with client.peer("failing", "hook=received_message") as peer:
        peer.text("go")
        peer.expect_close(1011)
        peer.sock.close()
        expect_closed(client, 1011)
        assert 1 == len(client.page.so_far("log"))


@client_case("So it is in `opened`.")
def client_opened_fails(client: Client) -> None:
    with client.peer("failing", "hook=opened") as peer:
        peer.expect_close(1011)
        peer.sock.close()
        expect_closed(client, 1011)
        assert 1 == len(client.page.so_far("log"))


@client_case("Hooks may be ``async def``.", when=lambda row: row.async_hooks)
def client_hooks_may_be_async(client: Client) -> None:
    with client.peer("async-echo", behind=frame(TEXT, b"early", mask=False)) as peer:
        assert Frame(TEXT, b"early") == peer.message()
        peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(100)))
        assert [b"%d" % i for i in range(100)] == [peer.message().payload for _ in range(100)]
        peer.finish(4001)
        expect_closed(client, 4001)


# The handshake


@client_case(
    "The request has path, query, Host, the caller's headers and subprotocols; the server's choice is there.",
    headers=(("X-One", "1"), ("Cookie", "a=b"), ("Origin", "http://site.example")),
    protocols=("v2", "v1"),
)
def client_asks(client: Client) -> None:
    client.start("listen", "q=1", path="/some/where")
    with client.accept() as peer:
        host, port = client.listener.getsockname()
        assert f"GET /some/where?tag={client.page.tag}&q=1 HTTP/1.1" == peer.request_line
        headers = dict(peer.headers)
        assert f"{host}:{port}" == headers["host"]
        assert ("websocket", "13") == (headers["upgrade"].lower(), headers["sec-websocket-version"])
        assert ("1", "a=b", "http://site.example") == (headers["x-one"], headers["cookie"], headers["origin"])
        assert "v2, v1" == headers["sec-websocket-protocol"]
        client.answer(peer, ("Sec-WebSocket-Protocol", "v1"))
        assert ["v1"] == client.page.wait("opened")["protocols"]
        peer.finish()


@client_case("Another status than 101 is a HandshakeError with status, headers and body.")
def client_is_refused(client: Client) -> None:
    client.start()
    with client.accept() as peer:
        peer.write(b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 7\r\n\r\nbecause")
        failed = expect_failed(client, "HandshakeError")
        assert (403, "because") == (failed["status"], failed["body"])
        assert ["X-Why", "no"] in failed["headers"]  # type: ignore[operator]


@client_case(
    "A refusal whose body does not end is one after ``open_timeout``, with what came of it.",
    limits={"open_timeout": 2.0},
)
def client_is_refused_without_an_end(client: Client) -> None:
    client.start()
    with client.accept() as peer:
        peer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nbecause")
        failed = expect_failed(client, "HandshakeError")
        assert (403, "because") == (failed["status"], failed["body"])


@client_case("An answer with the wrong Accept is a HandshakeError.")
def client_refuses_a_wrong_answer(client: Client) -> None:
    client.start()
    with client.accept() as peer:
        client.answer(peer, accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        expect_failed(client, "HandshakeError")


@client_case("A subprotocol that was not offered is a HandshakeError.")
def client_refuses_what_it_did_not_ask_for(client: Client) -> None:
    client.start()
    with client.accept() as peer:
        client.answer(peer, ("Sec-WebSocket-Protocol", "surprise"))
        expect_failed(client, "HandshakeError")


@client_case("A server that hangs up instead of answering is a HandshakeError or an OSError.")
def client_is_hung_up_on(client: Client) -> None:
    client.start()
    with client.accept() as peer:
        peer.write(b"HTTP/1.1 101 Swi")
        peer.sock.close()
        failed = client.page.wait("failed")
        assert {"HandshakeError", "OSError"} & set(failed["kinds"])


@client_case("A server that does not answer is a TimeoutError after ``open_timeout``.", limits={"open_timeout": 0.3})
def client_does_not_wait_for_an_answer_for_ever(client: Client) -> None:
    client.start()
    with client.accept():
        expect_failed(client, "TimeoutError")


@client_case("Nobody at the address is an OSError.")
def client_finds_nobody(client: Client) -> None:
    client.listener.close()
    client.start()
    expect_failed(client, "ConnectionRefusedError")


@client_case("A Unix socket that is not there is a FileNotFoundError with its path.")
def client_names_the_socket_that_is_not_there(client: Client) -> None:
    url = f"ws+unix:///nowhere/at.all?tag={client.page.tag}"
    client.running = client.row.start("listen", url, client.options)
    assert "'/nowhere/at.all'" in str(expect_failed(client, "FileNotFoundError")["text"])


@client_case("``wss://`` verifies the server and carries it all.", tls=True)
def client_speaks_tls(client: Client) -> None:
    with client.peer("echo") as peer:
        peer.send(BINARY, pattern(MIB))
        assert Frame(BINARY, pattern(MIB)) == peer.message()
        peer.write(b"".join(peer.frame(TEXT, b"%d" % i) for i in range(1000)))
        assert [b"%d" % i for i in range(1000)] == [peer.message().payload for _ in range(1000)]
        peer.finish()
        expect_closed(client, 1000)


@client_case("A certificate of an unknown authority is an SSLError.", tls=True, distrust=True)
def client_distrusts(client: Client) -> None:
    client.start()
    client.accept_nothing()
    expect_failed(client, "SSLCertVerificationError")


# Time and load


@client_case(
    "The client pings, and gives up a server that does not answer: 1006.",
    limits={"ping_interval": 0.1, "ping_timeout": 0.3},
)
def client_gives_a_silent_server_up(client: Client) -> None:
    with client.peer() as peer:
        found = peer.next()
        assert PING == found.opcode
        peer.send(PONG, found.payload)
        assert PING == peer.next().opcode
        expect_closed(client, 1006)


@client_case("With ``heartbeat_freq`` it sends unsolicited Pongs.", heartbeat_freq=0.1)
def client_beats(client: Client) -> None:
    with client.peer() as peer:
        assert Frame(PONG, b"beep") == peer.next()
        assert Frame(PONG, b"beep") == peer.next()
        peer.close(1000)


@client_case("A server that does not read gets 64 MiB when it does; until then `send` waits.")
def client_waits_for_a_slow_server(client: Client) -> None:
    client.start("flood" if client.row.send_blocks else "async-flood")
    with client.accept(receive_buffer=65536) as peer:
        client.answer(peer)
        peer.text("go")
        assert BINARY == peer.message().opcode
        for _ in range(20):
            peer.send(PING, b"still there?")
        assert _flooded(client.page) < 32
        for number in range(1, 1024):
            found = peer.next()
            while found.opcode == PONG:
                found = peer.next()
            assert found.payload[:4] == number.to_bytes(4, "big")
        client.page.wait("flooded", 64)


def _flooded(page: Page) -> int:
    return max((entry["mib"] for entry in page.so_far("flooded")), default=0)
