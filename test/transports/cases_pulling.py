"""Cases: the pull API of every kind of client, against a server of bytes. The programs are in scripts.py."""

from __future__ import annotations

import select
import zlib
from typing import Any

from .contract import client_case
from .peers import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, Peer, frame, pattern
from .sides import Client

KIB, MIB = 1024, 1024 * 1024

# How long a socket that takes nothing is watched before it counts as full. Who is slow is not mistaken
# for who does not read: a client that reads everything takes everything in the end.
FULL = 0.5


def pulls(row: Any) -> bool:
    return bool(row.pulls)


def accepted(client: Client, script: str, **options: Any) -> Peer:
    """Let the client run a script."""
    client.pull(script)
    peer = client.accept(**options)
    client.answer(peer)
    return peer


@client_case("`receive` returns messages, or raises TimeoutError; iterating ends with the connection.", when=pulls)
def client_pulls(client: Client) -> None:
    with accepted(client, "take-turns") as peer:
        assert Frame(TEXT, b"hello") == peer.message()
        peer.text("answer")
        assert "answer" == client.page.wait("pulled")["text"]
        assert Frame(BINARY, b"go on") == peer.message()
        client.page.wait("timed out")
        for i in range(100):
            peer.text(f"{i}")
        peer.finish()
        assert [f"{i}" for i in range(100)] == client.page.wait("iterated")["texts"]


@client_case("What came before the Close is received before ConnectionClosed, which has code and reason.", when=pulls)
def client_pull_ends(client: Client) -> None:
    with accepted(client, "collect") as peer:
        peer.write(peer.frame(TEXT, b"one") + peer.frame(TEXT, b"two"))
        peer.close(4001, "grüße".encode())
        peer.expect_close(4001)
        peer.sock.close()
        ended = client.page.wait("ended")
        assert (["one", "two"], 4001, "grüße") == (ended["texts"], ended["code"], ended["reason"])
        assert 4001 == client.page.wait("ended again")["code"]


@client_case("Iterating raises ConnectionClosed unless the code is 1000, 1001 or none.", when=pulls)
def client_iteration_ends_badly(client: Client) -> None:
    with accepted(client, "iterate") as peer:
        peer.text("one")
        peer.reset()
        assert 1006 == client.page.wait("ended")["code"]


@client_case("A violation is ConnectionClosed with the code that was sent, behind what came before.", when=pulls)
def client_pull_ends_by_a_violation(client: Client) -> None:
    with accepted(client, "collect") as peer:
        peer.write(peer.frame(TEXT, b"one") + frame(TEXT, b"\xff", mask=False))
        peer.expect_close(1007)
        peer.sock.close()
        ended = client.page.wait("ended")
        assert (["one"], 1007) == (ended["texts"], ended["code"])


@client_case("Behind `close` what was on its way can be received still.", when=pulls)
def client_pulls_behind_its_close(client: Client) -> None:
    with accepted(client, "leave") as peer:
        peer.text("first")
        assert "first" == client.page.wait("pulled")["text"]
        peer.expect_close(4001, b"enough")
        peer.text("on its way")
        peer.close(4001, b"enough")
        peer.sock.close()
        ended = client.page.wait("ended")
        assert (["on its way"], 4001) == (ended["texts"], ended["code"])


@client_case("While the program is busy, Pings are answered.", when=pulls)
def client_answers_pings_while_busy(client: Client) -> None:
    with accepted(client, "be-busy") as peer:
        assert Frame(TEXT, b"busy") == peer.message()
        for i in range(3):
            peer.text("wait")
            peer.send(PING, b"%d" % i)
            assert Frame(PONG, b"%d" % i) == peer.next()
        client.let_go()
        peer.finish()
        assert 3 == client.page.wait("ended")["count"]


@client_case(
    "While the program receives nothing, no more than ``max_inbox`` is read; then all of it comes.",
    when=pulls,
    limits={"max_inbox": 256 * KIB},
)
def client_inbox_is_bounded(client: Client) -> None:
    with accepted(client, "be-busy", receive_buffer=65536) as peer:
        assert Frame(TEXT, b"busy") == peer.message()
        sent = fill(peer)
        client.let_go()
        peer.sock.setblocking(True)
        peer.write(sent.rest)
        peer.finish()
        ended = client.page.wait("ended")
        assert (sent.count, sent.crc, 1000) == (ended["count"], ended["crc"], ended["code"])


class _Sent:
    def __init__(self) -> None:
        self.count = 0
        self.crc = 0
        self.rest = b""


def fill(peer: Peer) -> _Sent:
    """Send until the client takes no more; what is left of the last message is in ``rest``."""
    sent = _Sent()
    peer.sock.setblocking(False)
    while sent.count * 64 < 64 * KIB:
        payload = sent.count.to_bytes(4, "big") * (16 * KIB)
        data = memoryview(peer.frame(BINARY, payload))
        sent.count += 1
        sent.crc = zlib.crc32(payload, sent.crc)
        while data:
            if not select.select([], [peer.sock], [], FULL)[1]:
                sent.rest = bytes(data)
                return sent
            data = data[peer.sock.send(data) :]
    raise AssertionError("64 MiB were read though nobody received them")


@client_case(
    "`receive_pieces` hands a message of 8 MiB on as it comes, in little memory, text between characters.",
    when=pulls,
    limits={"max_inbox": 64 * KIB, "max_message_size": 16 * MIB},
)
def client_receives_pieces(client: Client) -> None:
    with accepted(client, "take-pieces") as peer:
        assert Frame(TEXT, b"ready") == peer.message()
        text = ("aüß€😀" * 700_000).encode()
        blob = pattern(8 * MIB)
        for kind, payload, opcode in (("str", text, TEXT), ("bytes", blob, BINARY)):
            peer.send(opcode, payload)
            found = client.page.wait("pieces", 1 if kind == "str" else 2)
            assert (len(payload), zlib.crc32(payload), [kind]) == (found["size"], found["crc"], found["kinds"])
            assert found["longest"] < MIB
        peer.send(TEXT, b"")
        found = client.page.wait("pieces", 3)
        assert (1, 0, ["str"]) == (found["number"], found["size"], found["kinds"])
        peer.send(TEXT, "ü".encode()[:1], fin=False)
        peer.send(CONTINUATION, "ü".encode()[1:])
        assert (1, 1) == tuple(client.page.wait("pieces", 4)[name] for name in ("number", "longest"))
        peer.finish()
        assert 1000 == client.page.wait("ended")["code"]


@client_case(
    "`receive` gets a message whole that is longer than ``max_inbox``.",
    when=pulls,
    limits={"max_inbox": 64 * KIB, "max_message_size": 16 * MIB},
)
def client_receives_more_than_its_inbox(client: Client) -> None:
    with accepted(client, "be-busy") as peer:
        assert Frame(TEXT, b"busy") == peer.message()
        client.let_go()
        payload = pattern(8 * MIB)
        peer.send(BINARY, payload)
        peer.finish()
        ended = client.page.wait("ended")
        assert (1, zlib.crc32(payload)) == (ended["count"], ended["crc"])


@client_case("A violation within a message ends its pieces by ConnectionClosed, behind what came before.", when=pulls)
def client_pieces_end_by_a_violation(client: Client) -> None:
    with accepted(client, "take-pieces") as peer:
        assert Frame(TEXT, b"ready") == peer.message()
        peer.send(TEXT, b"good", fin=False)
        peer.send(CONTINUATION, b"\xff")
        peer.expect_close(1007)
        peer.sock.close()
        assert 4 == client.page.wait("pieces")["size"]
        assert 1007 == client.page.wait("ended")["code"]


@client_case("So does the end of the connection.", when=pulls)
def client_pieces_end_with_the_connection(client: Client) -> None:
    with accepted(client, "take-pieces") as peer:
        assert Frame(TEXT, b"ready") == peer.message()
        peer.write(peer.frame(BINARY, b"0123456789")[:-3])
        peer.sock.close()
        assert 7 == client.page.wait("pieces")["size"]
        assert 1006 == client.page.wait("ended")["code"]


@client_case("A piece that is late is not lost; who leaves a message in the middle gets the next one.", when=pulls)
def client_leaves_pieces(client: Client) -> None:
    with accepted(client, "leave-pieces") as peer:
        assert Frame(TEXT, b"ready") == peer.message()
        peer.send(TEXT, b"one", fin=False)
        found = client.page.wait("pulled")
        assert (["one"], [], "TimeoutError") == (found["first"], found["none"], found["error"])
        assert Frame(TEXT, b"more") == peer.message()
        peer.send(CONTINUATION, b"two", fin=False)
        assert ["two"] == client.page.wait("pulled", 2)["second"]
        peer.send(CONTINUATION, b"three", fin=False)
        peer.send(CONTINUATION, b"four")
        peer.text("next")
        assert "next" == client.page.wait("pulled", 3)["text"]
        assert "RuntimeError" == client.page.wait("pulled", 4)["error"]
        peer.finish()


@client_case("A message is sent from an iterator, where sends are awaited from an async one.", when=pulls)
def client_sends_pieces(client: Client) -> None:
    with accepted(client, "send-pieces") as peer:
        assert Frame(TEXT, b"one two three") == peer.message()
        assert Frame(BINARY, b"\x00\xff") == peer.message()
        assert Frame(TEXT, b"behind") == peer.message()
        peer.finish()
        assert 1000 == client.page.wait("ended")["code"]
