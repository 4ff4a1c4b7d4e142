"""Cases: slow peers, many senders, silent peers, and that nobody pays for another."""

from __future__ import annotations

import threading

from .contract import server_case
from .diary import WAIT
from .handlers import FLOOD_PIECE, FLOOD_SIZE, MIB
from .peers import BINARY, CLOSE, PING, PONG, TEXT, Frame, Peer
from .sides import Served


def flood_path(server: Served) -> str:
    """Name the hooks that flood and wait for the peer, each as its transport can."""
    return "/flood" if server.row.send_blocks else "/async-flood"


def flooded(peer: Peer) -> int:
    """Return how many MiB of a flood have left the hook's hands."""
    return max((entry["mib"] for entry in peer.page.so_far("flooded")), default=0)


def check_flood(peer: Peer, first: int = 0) -> None:
    """Read a flood to its end."""
    for number in range(first, FLOOD_SIZE // FLOOD_PIECE):
        found = peer.message()
        assert (BINARY, FLOOD_PIECE) == (found.opcode, len(found.payload))
        assert found.payload[:4] == found.payload[-4:] == number.to_bytes(4, "big")


@server_case("A peer that does not read gets 64 MiB when it does; until then `send` waits, and others are served.")
def a_slow_reader_is_waited_for(server: Served) -> None:
    with server.peer(flood_path(server), receive_buffer=65536) as slow, server.peer() as other:
        slow.text("go")
        assert BINARY == slow.message().opcode
        for i in range(200):
            other.text(f"{i}")
            assert Frame(TEXT, b"%d" % i) == other.message()
        assert flooded(slow) < FLOOD_SIZE // MIB // 2
        check_flood(slow, first=1)
        slow.page.wait("flooded", FLOOD_SIZE // MIB)
        slow.finish()
        other.finish()


@server_case("Over TLS the same.", tls=True)
def a_slow_reader_of_tls_is_waited_for(server: Served) -> None:
    a_slow_reader_is_waited_for(server)


@server_case(
    "A hook that sends 64 MiB without waiting for the peer gets BufferError; memory is bounded.",
    when=lambda row: not row.send_blocks,
)
def a_sender_who_does_not_wait_is_stopped(server: Served) -> None:
    with server.peer("/rash-flood", receive_buffer=65536) as peer:
        peer.text("go")
        assert BINARY == peer.message().opcode
        assert 1011 == peer.page.wait("closed")["code"]
        assert 16 - 2 <= flooded(peer) <= 32
    logged = server.diary.untagged()
    assert any("BufferError" in entry["text"] for entry in logged)
    server.expected_logs += 1


@server_case("Hooks of four connections send on a fifth: each message is whole, each sender's order kept.")
def many_may_send_on_one_connection(server: Served) -> None:
    with server.peer("/stage") as stage:
        stage.page.wait("opened")
        tellers = [server.peer("/teller", query=f"stage={stage.page.tag}") for _ in range(4)]
        threads = [threading.Thread(target=_tell, args=(teller, i)) for i, teller in enumerate(tellers)]
        for thread in threads:
            thread.start()
        counts = [0] * 4
        for _ in range(4 * 200):
            found = stage.message()
            teller, number = map(int, found.payload[:7].split())
            assert counts[teller] == number
            assert found.payload == _told(teller, number)
            counts[teller] += 1
        for thread in threads:
            thread.join(WAIT)
        for teller_peer in tellers:
            teller_peer.finish()
        stage.finish()


def _told(teller: int, number: int) -> bytes:
    # Some longer than what fits a frame's shorter lengths.
    return b"%1d %5d" % (teller, number) + b"x" * (number * 100 if number % 5 == 0 else number)


def _tell(peer: Peer, teller: int) -> None:
    for number in range(200):
        peer.send(TEXT, _told(teller, number))


@server_case(
    "The server pings at ``ping_interval``; the answers do not come to `ponged`.",
    limits={"ping_interval": 0.1, "ping_timeout": 30},
)
def an_idle_peer_is_pinged(server: Served) -> None:
    with server.peer() as peer:
        for _ in range(3):
            found = peer.next()
            assert PING == found.opcode
            peer.send(PONG, found.payload)
        peer.text("still here")
        while (found := peer.next()).opcode == PING:
            peer.send(PONG, found.payload)
        assert Frame(TEXT, b"still here") == found
        peer.send(PONG, b"unasked")
        assert "unasked" == peer.page.wait("ponged")["data"]


@server_case(
    "A peer that does not answer a Ping within ``ping_timeout`` is gone: `closed` gets 1006.",
    limits={"ping_interval": 0.1, "ping_timeout": 0.3},
)
def a_silent_peer_is_given_up(server: Served) -> None:
    with server.peer() as peer:
        assert PING == peer.next().opcode
        assert 1006 == peer.page.wait("closed")["code"]
        rest = [found.opcode for found in iter(peer.frame_or_end, None)]
        assert set(rest) <= {PING, CLOSE}


@server_case(
    "With ``heartbeat_freq`` an unsolicited Pong is sent every so many seconds, in ws4py's way.", heartbeat_freq=0.1
)
def a_heartbeat_is_a_pong(server: Served) -> None:
    with server.peer() as peer:
        for _ in range(3):
            assert Frame(PONG, b"beep") == peer.next()


@server_case(
    "A peer that takes none of what is sent for ``write_timeout`` is gone: `closed` gets 1006.",
    limits={"write_timeout": 0.5},
)
def a_peer_that_takes_nothing_is_given_up(server: Served) -> None:
    with server.peer(flood_path(server), receive_buffer=65536) as peer:
        peer.text("go")
        assert 1006 == peer.page.wait("closed")["code"]
        assert flooded(peer) < FLOOD_SIZE // MIB // 2
    server.check_alive()


@server_case("While one peer sends half a million tiny messages, another gets its answers.")
def who_sends_much_does_not_starve_others(server: Served) -> None:
    number = 500_000
    with server.peer("/counter") as busy, server.peer() as other:
        tiny = b"\x81\x81\0\0\0\0x" * 1000
        sending = threading.Thread(target=lambda: [busy.write(tiny) for _ in range(number // 1000)])
        sending.start()
        for i in range(5):
            other.text(f"{i}")
            assert Frame(TEXT, b"%d" % i) == other.message()
        sending.join()
        busy.text("end")
        assert number + 1 == busy.page.wait("counted")["count"]
        busy.finish()
        other.finish()


@server_case("With fifty idle connections a new one is served at once, and each of them still is.")
def connections_that_do_nothing_cost_nothing(server: Served) -> None:
    peers = [server.peer() for _ in range(50)]
    server.check_alive()
    for peer in peers:
        peer.text("still here")
        assert Frame(TEXT, b"still here") == peer.message()
    for peer in peers:
        peer.finish()
