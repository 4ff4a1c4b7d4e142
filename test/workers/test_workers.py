"""Workers of one port, as processes: killed, replaced and ended while 200 members are sent a steady flow of numbers."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from test.client.peers import WAIT, Peer, certificates, client_context, close_frame, request
from test.many import eventually
from test.programs import ROOT, WS4PY_NG, Program, run
from test.pubsub.brokers import nats_server, redis_server
from test.pubsub.crowd import Crowd, Face

from .programs import APP, answer, ask, gather, pid, port_of, workers

MEMBERS = 200
EXAMPLE = "workers_chat"
COUNT = 2000
LAST = 10_000_000
WHOLE = list(range(1, COUNT + 1))


def numbers(face: Face) -> list[int]:
    """Return what a member got of the steady flow, in its order."""
    return [int(each) for each in face.payloads if each.isdigit() and int(each) < LAST]


def warm_up(one: Face, faces: list[Face], number: int = LAST) -> None:
    """Wait until what a worker publishes comes to everybody."""

    def is_there() -> bool:
        ask(one, f"steady {number} 1")
        return all(b"%d" % number in face.payloads for face in faces)

    assert eventually(is_there)


def everybody(groups: dict[int, list[Face]]) -> list[Face]:
    return [face for faces in groups.values() for face in faces]


def test_a_worker_is_killed_and_the_members_of_the_others_lose_nothing() -> None:
    with workers(3) as program, Crowd() as crowd:
        port = port_of(program)
        groups = gather(crowd, port, MEMBERS, lambda pids: len(pids) == 3)
        publisher, victim, _ = groups
        warm_up(groups[publisher][0], everybody(groups))
        ask(groups[publisher][0], f"steady 1 {COUNT}")
        assert eventually(lambda: all(len(numbers(face)) > COUNT // 4 for face in groups[victim]))
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: all(face.ended for face in groups[victim]))
        for face in everybody(groups):
            if face not in groups[victim]:
                assert eventually(lambda face=face: numbers(face)[-1:] == [COUNT])
                assert WHOLE == numbers(face)
        for face in groups[victim]:
            assert WHOLE[: len(numbers(face))] == numbers(face)
        # There is another in its place, and it takes part.
        again = gather(crowd, port, MEMBERS // 4, lambda pids: bool(pids - set(groups)))
        fresh = next(iter(set(again) - set(groups)))
        warm_up(groups[publisher][0], again[fresh], LAST + 1)
        warm_up(again[fresh][0], groups[publisher], LAST + 2)
        program.send_signal(signal.SIGTERM)
        assert 0 == program.status()
        assert f"(pid {victim}) was ended by SIGKILL; it is started again in 0.1 s" in "".join(program.errors())


def test_a_worker_that_publishes_is_killed_and_the_others_have_the_same_beginning() -> None:
    with workers(3) as program, Crowd() as crowd:
        port = port_of(program)
        groups = gather(crowd, port, MEMBERS, lambda pids: len(pids) == 3)
        victim, *rest = groups
        others = [face for each in rest for face in groups[each]]
        warm_up(groups[victim][0], others)
        ask(groups[victim][0], f"steady 1 {COUNT * 100}")
        assert eventually(lambda: all(len(numbers(face)) > COUNT // 4 for face in others))
        os.kill(victim, signal.SIGKILL)
        fresh = gather(crowd, port, 20, lambda pids: bool(pids - set(groups)))
        warm_up(groups[rest[0]][0], others, LAST + 1)
        warm_up(next(fresh[each][0] for each in fresh if each not in groups), others, LAST + 2)
        heard = max((numbers(face) for face in groups[victim]), key=len)
        for face in others:
            got = numbers(face)
            assert list(range(1, len(got) + 1)) == got
            assert numbers(others[0]) == got
        assert len(heard) >= COUNT // 4


def test_who_is_there_is_known_to_all_workers_and_those_of_a_killed_one_are_forgotten() -> None:
    with workers(3) as program, Crowd() as crowd:
        port = port_of(program)
        groups = gather(crowd, port, MEMBERS, lambda pids: len(pids) == 3)

        def is_known(to: list[int], expected: dict[int, list[Face]]) -> bool:
            counts = {str(each): len(faces) for each, faces in expected.items()}
            for each in to:
                ask(groups[each][0], "present")

            def said(face: Face) -> list[dict[str, int]]:
                return [json.loads(each[8:]) for each in face.payloads if each.startswith(b"present ")]

            return all(said(groups[each][0])[-1:] == [counts] for each in to)

        assert eventually(lambda: is_known([*groups], groups))
        victim, *rest = groups
        os.kill(victim, signal.SIGKILL)
        left = {each: groups[each] for each in rest}
        assert eventually(lambda: is_known(rest, left))
        for face in groups[rest[0]][1:]:
            face.sock.send(close_frame(1000))
        left[rest[0]] = groups[rest[0]][:1]
        assert eventually(lambda: is_known(rest, left))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_every_connection_with_1001(number: int) -> None:
    with workers(2) as program, Crowd() as crowd:
        groups = gather(crowd, port_of(program), MEMBERS, lambda pids: len(pids) == 2)
        program.send_signal(number)
        assert 0 == program.process.wait(WAIT)
        assert eventually(lambda: all(face.ended for face in everybody(groups)))
        assert {1001} == {face.code for face in everybody(groups)}
        assert "" == "\n".join(program.errors())


def test_a_worker_whose_peers_do_not_answer_ends_within_the_bound_and_health_is_503_meanwhile() -> None:
    with workers(2, "--metrics") as program, Crowd() as crowd:
        port = port_of(program)
        assert (200, b"ok\n") == answer(port, "/healthz")
        [mute] = crowd.join(port, 1)
        pid(mute)
        mute.answers = False
        program.send_signal(signal.SIGTERM)
        assert eventually(lambda: 1001 == mute.code)
        assert (503, b"draining\n") == answer(port, "/healthz")
        assert HTTPStatus.SERVICE_UNAVAILABLE == answer(port, "/")[0]
        assert 0 == program.process.wait(WAIT)


def test_a_second_signal_ends_at_once() -> None:
    with workers(2) as program, Crowd() as crowd:
        [mute] = crowd.join(port_of(program), 1)
        pid(mute)
        mute.answers = False
        program.send_signal(signal.SIGINT)
        assert eventually(lambda: 1001 == mute.code)
        program.send_signal(signal.SIGINT)
        assert 130 == program.process.wait(WAIT)


def test_sighup_replaces_the_workers_and_loses_nobody_who_comes() -> None:
    with workers(2) as program, Crowd() as crowd:
        port = port_of(program)
        groups = gather(crowd, port, 20, lambda pids: len(pids) == 2)
        came: list[Face] = []
        lost: list[BaseException] = []
        enough = threading.Event()

        def keep_coming() -> None:
            while not enough.is_set():
                try:
                    came.extend(crowd.join(port, 1))
                except (OSError, AssertionError) as error:
                    lost.append(error)

        comers = [threading.Thread(target=keep_coming) for _ in range(2)]
        for each in comers:
            each.start()
        try:
            program.send_signal(signal.SIGHUP)
            assert eventually(lambda: all(face.ended for face in everybody(groups)))
            before = len(came)
            assert eventually(lambda: len(came) > before + 50)
        finally:
            enough.set()
            for each in comers:
                each.join(WAIT)
        assert [] == lost
        assert {1001} == {face.code for face in everybody(groups)}
        assert not {pid(face) for face in came[before:]} & set(groups)
        fresh = gather(crowd, port, 10, lambda pids: len(pids) == 2)
        first, second = fresh.values()
        warm_up(first[0], second)


def test_sighup_with_an_app_that_is_broken_leaves_the_old_workers(tmp_path: Path) -> None:
    app = tmp_path / "changing.py"
    app.write_text("from test.workers.site import Member\n")
    with workers(2, app="changing:Member", cwd=tmp_path) as program, Crowd() as crowd:
        port = port_of(program)
        groups = gather(crowd, port, 10, lambda pids: len(pids) == 2)
        app.write_text("this is not Python\n")
        program.send_signal(signal.SIGHUP)
        assert eventually(lambda: program.has_complained("The new workers did not come up"))
        assert set(groups) == set(gather(crowd, port, 10, lambda pids: len(pids) == 2))
        assert not any(face.ended for face in everybody(groups))


def test_sighup_while_no_process_can_be_started_leaves_the_old_workers(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    with Program([str(python), "-m", "ws4py_ng", "serve", "--workers", "2", "--port", "0"]) as program:
        port = port_of(program)
        python.unlink()
        program.send_signal(signal.SIGHUP)
        assert eventually(lambda: program.has_complained("The new workers did not come up"))
        assert (200, b"ok\n") == answer(port, "/healthz")
        program.send_signal(signal.SIGTERM)
        assert 0 == program.status()
        assert "Worker 0 cannot be started: " in program.errors()[0]


def test_a_worker_that_keeps_dying_is_started_less_and_less_often_and_the_others_serve_meanwhile() -> None:
    with workers(2) as program, Crowd() as crowd:
        port = port_of(program)
        seen: set[int] = set()
        for pause in ("0.1", "0.2", "0.4"):
            known = frozenset(seen)
            groups = gather(crowd, port, 10, lambda pids, known=known: bool(pids - known) and len(pids) == 2)
            victim = next(each for each in groups if each not in seen)
            seen |= set(groups)
            ask(groups[victim][0], "exit 3")
            told = f"(pid {victim}) ended with status 3; it is started again in {pause} s"
            assert eventually(lambda told=told: program.has_complained(told))
            # Some of these come to the socket of the dead one.
            assert all(pid(face) != victim for face in crowd.join(port, 10))


def test_an_app_that_cannot_be_served_ends_all_with_status_1() -> None:
    done = run([*WS4PY_NG, "serve", "--workers", "2", "--port", "0", "--app", "there_is_no:Such"])
    assert (1, b"") == (done.returncode, done.stdout)
    assert b"there is no module 'there_is_no'" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_port_of_other_workers_is_in_use() -> None:
    with workers(2) as program:
        port = port_of(program)
        done = run([*WS4PY_NG, "serve", "--workers", "2", "--port", str(port)])
        assert (1, b"") == (done.returncode, done.stdout)
        assert f"port {port} of 127.0.0.1 is in use".encode() in done.stderr


def test_workers_whose_parent_is_killed_close_their_connections_and_end() -> None:
    with workers(2) as program, Crowd() as crowd:
        groups = gather(crowd, port_of(program), 10, lambda pids: len(pids) == 2)
        program.process.kill()
        assert eventually(lambda: all(face.ended for face in everybody(groups)))
        assert {1001} == {face.code for face in everybody(groups)}


def test_metrics_are_those_of_all_workers() -> None:
    with workers(2, "--metrics", "--ping-interval", "0.05") as program, Crowd() as crowd:
        port = port_of(program)
        groups = gather(crowd, port, 20, lambda pids: len(pids) == 2)
        all_of_them = everybody(groups)
        ask(all_of_them[0], "hello")
        assert eventually(lambda: b"hello" in all_of_them[0].payloads)
        for group in groups.values():
            group[-1].sock.send(close_frame(4001))

        def samples() -> dict[tuple[str, str, str], float]:
            status, text = answer(port, "/metrics")
            assert 200 == status
            return {
                (
                    each.name,
                    each.labels["worker"],
                    each.labels.get("direction") or each.labels.get("code") or "",
                ): each.value
                for family in text_string_to_metric_families(text.decode())
                for each in family.samples
                if "le" not in each.labels
            }

        assert eventually(lambda: 2 == sum(v for k, v in samples().items() if "ws4py_ng_closes_total" == k[0]))
        found = samples()
        count = len(all_of_them)
        assert count == sum(found["ws4py_ng_connections_opened_total", each, ""] for each in "01")
        assert count - 2 == sum(found["ws4py_ng_connections", each, ""] for each in "01")
        assert [1, 1] == [found["ws4py_ng_closes_total", each, "4001"] for each in "01"]
        assert 1 == sum(found["ws4py_ng_messages_total", each, "in"] for each in "01")
        assert 5 == sum(found["ws4py_ng_bytes_total", each, "in"] for each in "01")
        assert count + 1 == sum(found["ws4py_ng_messages_total", each, "out"] for each in "01")
        assert 0 == sum(found["ws4py_ng_outbox_bytes", each, ""] for each in "01")
        assert eventually(lambda: all(samples()["ws4py_ng_ping_latency_seconds_count", each, ""] > 0 for each in "01"))


@pytest.mark.parametrize("broker", [redis_server, nats_server], ids=["redis", "nats"])
def test_workers_of_two_programs_share_a_bus(broker: object, tmp_path: Path) -> None:
    with broker(tmp_path) as server, Crowd() as crowd, ExitStack() as stack:  # type: ignore[operator]
        one, other = (stack.enter_context(workers(2, "--bus", server.url)) for _ in range(2))
        here = gather(crowd, port_of(one), 10, lambda pids: len(pids) == 2)
        there = gather(crowd, port_of(other), 10, lambda pids: len(pids) == 2)
        faces = [*everybody(here), *everybody(there)]
        warm_up(faces[0], faces)
        ask(faces[0], "steady 1 100")
        for face in faces:
            assert eventually(lambda face=face: numbers(face) == list(range(1, 101)))


def test_the_example_is_a_chat_over_all_workers() -> None:
    with workers(2, app=EXAMPLE + ":Chat", cwd=ROOT / "example") as program, Crowd() as crowd:
        faces = crowd.join(port_of(program), 12)

        def all_have_heard() -> bool:
            ask(faces[0], "hello")
            return all(face.payloads for face in faces[1:])

        assert eventually(all_have_heard)
        assert {b"hello"} == {payload for face in faces for payload in face.payloads}


SHARED = """
import sys
from ws4py_ng.workers import Supervisor, listen
listeners = listen("127.0.0.1", 0, 2, spreads=False)
command = [sys.executable, "-W", "error", "-m", "ws4py_ng", "serve", "--workers", "2", "--app", sys.argv[1]]
port = listeners[0][0].getsockname()[1]
ready = lambda: print(f"listening on ws://127.0.0.1:{port}/", flush=True)
sys.exit(Supervisor(command, listeners, bound=20, on_ready=ready).run())
"""


def test_workers_share_one_socket_where_the_system_does_not_spread_connections() -> None:
    with Program([sys.executable, "-W", "error", "-c", SHARED, APP]) as program, Crowd() as crowd:
        port = port_of(program)
        faces = crowd.join(port, 20)
        victim = pid(faces[0])
        others = [face for face in faces if pid(face) != victim]
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: all(face.ended for face in faces if pid(face) == victim))
        again = crowd.join(port, 20)
        assert victim not in {pid(face) for face in again}
        program.send_signal(signal.SIGHUP)
        assert eventually(lambda: all(face.ended for face in [*others, *again]))
        program.send_signal(signal.SIGTERM)
        assert 0 == program.status()
        assert {1001} == {face.code for face in [*others, *again]}


def test_workers_speak_tls_and_so_does_the_parent_that_answers_while_they_end(tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    certificates().server.private_key_and_cert_chain_pem.write_to_path(pem)
    with workers(2, "--certfile", str(pem)) as program:
        port = port_of(program)
        with tls_peer(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") as peer:
            assert b"HTTP/1.1 200 OK" == peer.take_head()[:15]
        with tls_peer(port, request(port=port)) as mute:
            assert b"HTTP/1.1 101" == mute.take_head()[:12]
            assert mute.take_frame()[1].startswith(b"pid ")
            program.send_signal(signal.SIGTERM)
            assert b"\x03\xe9" == mute.take_frame()[1][:2]
            with tls_peer(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") as peer:
                assert b"HTTP/1.1 503" == peer.take_head()[:12]
            mute.send(close_frame(1001))
        assert 0 == program.status()


def tls_peer(port: int, first: bytes) -> Peer:
    """Connect by TLS, and send something."""
    sock = socket.create_connection(("127.0.0.1", port), WAIT)
    peer = Peer(client_context().wrap_socket(sock, server_hostname="localhost"))
    peer.send(first)
    return peer
