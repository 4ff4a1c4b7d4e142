"""The benchmark runs, checks what it is answered, and compares with the goals. No figure is looked at."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from test.bench.__main__ import choose, main
from test.bench.cases import CASES
from test.bench.goals import GOALS, Goal, judge
from test.bench.measure import cpu_ns, schedstat_ns, settle
from test.bench.network import WANTED, congestion_control, own_network
from test.bench.process import ROOT, Failed, Running
from test.bench.report import BEGIN, END, fraction, from_json, replace_tables, to_json, to_text
from test.bench.run import Series
from test.bench.samples import QUICK, Sample, compressed, entries_of
from test.bench.servers import SERVERS
from test.bench.setup import Setup
from test.bench.wire import Compressed, Repeated, client_frame, documents, masked, parse, server_frame

WAIT = 60.0  # only a hang takes that long


def test_a_quick_run_measures_and_writes() -> None:
    only = "echo-32-*,deflate-1k,memory-idle,handshake,raw/asyncio,ng/threads,ng/asyncio"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    command = [sys.executable, "-m", "test.bench", "--quick", "--only", only]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=240)
    assert (0, "") == (done.returncode, "\n".join(line for line in done.stderr.splitlines() if "FAILED" in line))
    written = json.loads((ROOT / ".reports/bench/performance.json").read_text())
    assert {"echo-32-many", "echo-32-one", "deflate-1k", "memory-idle", "handshake"} == set(written["cases"])
    for case in written["cases"].values():
        for name in case["programs"]:
            assert case["programs"][name]["median"] > 0, name
    assert 100 < written["cases"]["deflate-1k"]["programs"]["ng/asyncio"]["size"] < 1000
    assert written["machine"]["cpus"]
    assert written["versions"]["ws4py_ng"]
    assert {"echo-32-many", "handshake"} <= {goal["case"] for goal in written["goals"]}
    assert "ng/asyncio" in done.stdout


def test_the_clock_of_a_process_is_what_schedstat_says() -> None:
    with Running("servers", SERVERS["raw/thread"], Setup()) as server:
        server.wait_for_port()
        settle(server.pid)
        assert cpu_ns(server.pid) == schedstat_ns(server.pid) > 0
    before = cpu_ns(os.getpid())
    thread = threading.Thread(target=sum, args=(range(200_000),))
    thread.start()
    thread.join()
    assert cpu_ns(os.getpid()) > before


def test_every_program_of_a_goal_is_there() -> None:
    for goal in GOALS:
        entries = entries_of(CASES[goal.case])
        assert {goal.ours, *goal.peers} <= set(entries), goal


def test_every_program_can_be_loaded_or_says_what_it_lacks() -> None:
    for case in CASES.values():
        for entry in entries_of(case).values():
            if ":" in entry.where and not entry.missing():
                assert callable(entry.load()), entry.name


def test_only_chooses_cases_and_programs() -> None:
    chosen = choose(["echo-32-many,ng/asyncio", "picow?"])
    assert {"echo-32-many": ["ng/asyncio", "picows"]} == {k: [e.name for e in v] for k, v in chosen.items()}
    assert "tls-64k" in choose(["ng/asyncio"])
    assert "ng/manager" not in [entry.name for entry in choose(["tls-*"])["tls-64k"]]
    with pytest.raises(SystemExit, match="'picrows' is no case and no program"):
        choose(["picrows"])


def test_a_program_that_ends_says_why() -> None:
    wrong = replace(SERVERS["raw/thread"], name="no such name")
    with Running("servers", wrong, Setup()) as server, pytest.raises(Failed, match="KeyError: 'no such name'"):
        server.wait_for_port()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_have_the_heads_of_rfc_6455(size: int) -> None:
    payload = b"x" * size
    assert (0x82, payload, len(server_frame(2, payload))) == parse(server_frame(2, payload))
    frame = client_frame(2, payload)
    assert payload == masked(frame[len(frame) - size :])
    assert frame[1] & 0x80
    assert parse(server_frame(2, payload)[:-1]) is None


def test_an_answer_that_is_wrong_by_one_byte_is_found() -> None:
    plan = Repeated(client_frame(2, b"hello"), server_frame(2, b"hello"))
    plan.prepare(3)
    assert 1 == plan.take(memoryview(b"\x82\x05hello\x82"))
    assert 2 == plan.take(memoryview(b"\x05hello"))
    with pytest.raises(AssertionError, match="answer 2 is not what was sent"):
        plan.take(memoryview(b"\x82\x05hellO"))
    plan.prepare(1)
    plan.take(memoryview(b"\x82\x05hello\x82"))
    with pytest.raises(AssertionError, match="more came"):
        plan.finish()


def test_a_compressed_answer_that_is_wrong_is_found() -> None:
    texts = [text for text, _ in zip(documents(), range(2), strict=False)]
    assert all(900 < len(text) < 1200 for text in texts)
    assert texts[0] != texts[1]
    plan = Compressed()
    plan.prepare(2)
    assert 2 == plan.take(memoryview(b"".join(server_frame(1, text) for text in texts)))
    plan.finish()
    assert sum(map(len, texts)) == plan.size_of_texts
    plan.prepare(1)
    plan.take(memoryview(server_frame(1, texts[0])))
    with pytest.raises(AssertionError, match="not the text"):
        plan.finish()
    with pytest.raises(Failed, match="does not compress"):
        compressed("")


def test_goals_are_compared_with_the_best_peer() -> None:
    def series(figure: float) -> Series:
        return Series([Sample(figure), Sample(figure * 3), Sample(figure * 1.1)])

    found = {"ng/threads": series(100), "ng/asyncio": series(25), "picows": series(50), "aiohttp": series(80)}
    outcomes = [outcome for outcome in judge({"client-32-many": found}) if outcome.goal.case == "client-32-many"]
    assert [("ng/threads", "picows", 2.0, False), ("ng/asyncio", "picows", 0.5, True)] == [
        (o.goal.ours, o.peer, o.reached, o.is_met) for o in outcomes
    ]
    text = to_text({"client-32-many": found}, outcomes)
    assert "1/2 " in text
    [unmeasured] = [o for o in judge({"import": {}}) if o.goal == Goal("import", "ng", ("websockets",), 0.5)]
    assert unmeasured.reached is None
    assert not unmeasured.is_met


def test_results_that_were_written_can_be_read() -> None:
    found = {"deflate-1k": {"ng/asyncio": Series([Sample(2.5, 10.0, 250.0), Sample(3.5, 10.0, 250.0)])}}
    found["deflate-1k"]["websockets"] = Series(error="it did not start")
    assert found == from_json(to_json(found, judge(found), QUICK))


def test_an_update_takes_whole_cases(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--update", "--only", "echo-32-many,picows"])
    assert "--update takes whole cases" in capsys.readouterr().err


@pytest.mark.parametrize(("ratio", "text"), [(1 / 12, "1/12"), (1.0, "1.00"), (0.5, "1/2"), (0.4, "1/2.5")])
def test_a_ratio_is_written_as_people_say_it(ratio: float, text: str) -> None:
    assert text == fraction(ratio)


def test_tables_go_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    replace_tables(page, "new")
    assert f"before\n{BEGIN}\n\nnew\n{END}\nafter\n" == page.read_text()
    page.write_text("no marks")
    with pytest.raises(ValueError, match="has not both of the marks"):
        replace_tables(page, "new")


def is_alive(pid: str) -> bool:
    """Tell whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_run_that_is_told_to_end_leaves_no_server() -> None:
    command = [sys.executable, "-m", "test.bench", "--only", "echo-32-one,raw/thread"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        assert "echo-32-one" in run.stderr.readline()
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
        while not (begun := children.read_text().split()):
            os.sched_yield()
        run.terminate()
        assert "was told to end" in run.stderr.read()
    deadline = time.monotonic() + WAIT  # whoever inherits them takes note of their end in his own time
    while left := [pid for pid in begun if is_alive(pid)]:
        assert time.monotonic() < deadline, left
        os.sched_yield()


def test_what_is_measured_has_a_network_of_its_own_where_that_may_be() -> None:
    before, outside = congestion_control(), os.stat("/proc/self/ns/net").st_ino
    with own_network() as control, socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            assert control == congestion_control()
        is_own = os.stat("/proc/thread-self/ns/net").st_ino != outside
        assert control in (WANTED if is_own else [before])
    assert (before, outside) == (congestion_control(), os.stat("/proc/self/ns/net").st_ino)
