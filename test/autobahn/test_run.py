"""How a run is set up and ended, tried without the suite: the programs are small Python ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from test.autobahn import run as module
from test.autobahn import side, table
from test.autobahn.report import Expectation
from test.autobahn.run import (
    Run,
    RunFailed,
    arguments_of,
    await_start,
    environment,
    listening_url,
    main,
    plan,
    started,
    write_spec,
)
from test.autobahn.table import Result

FOREVER = "import time\nprint('listening on ws://127.0.0.1:9/', flush=True)\ntime.sleep(600)"


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run whose reports go to a temporary folder."""
    monkeypatch.setattr(module, "REPORTS", tmp_path)
    run = Run("threads", "server", "pure", ["1.1.1"], 5.0)
    run.outdir.mkdir()
    return run


def test_the_build_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS4PY_NG_PURE", "1")
    assert "1" == environment("pure")["WS4PY_NG_PURE"]
    assert "WS4PY_NG_PURE" not in environment("compiled")


def test_the_servers_address_is_read_from_what_it_prints(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("listening on ws://127.0.0.1:80")
    assert listening_url(log) is None, "the line is not complete"
    log.write_text("listening on ws://127.0.0.1:8081/\nlistening on ws://127.0.0.1:8082/\n")
    assert "ws://127.0.0.1:8081/" == listening_url(log)


def test_a_program_is_ended_when_its_run_is_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started([sys.executable, "-c", FOREVER], log) as process:
        assert "ws://127.0.0.1:9/" == await_start(process, log, lambda: listening_url(log))
        assert process.poll() is None
    assert process.returncode is not None


def test_a_program_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        started([sys.executable, "-c", "print('no such option')"], log) as process,
        pytest.raises(RunFailed, match=r"(?s)ended at once.*no such option"),
    ):
        await_start(process, log, lambda: None)


def test_a_spec_is_the_template_with_the_runs_own_values(one: Run) -> None:
    spec = json.loads(write_spec(one, "fuzzingserver", url="ws://127.0.0.1:1").read_text())
    assert "ws://127.0.0.1:1" == spec["url"]
    assert ["1.1.1"] == spec["cases"]
    assert str(one.outdir) == spec["outdir"]
    assert {} == spec["exclude-agent-cases"]


def test_a_missing_tool_and_a_wrong_pattern_are_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSTEST", "/no/such/program")
    assert 2 == main(["--cases", "1.*"])
    assert "WSTEST=/no/such/program is not a program" in capsys.readouterr().err
    assert 2 == main(["--cases", "99.*"])
    assert "autobahn: no case of the suite matches '99.*'\n" == capsys.readouterr().err


def test_a_transport_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["--transport", "carrier-pigeon"])
    assert "no transport carrier-pigeon: there are threads, asyncio" in capsys.readouterr().err


def test_a_row_whose_host_compresses_is_not_asked_for_compression(monkeypatch: pytest.MonkeyPatch) -> None:
    row = side.servers()["threads"]
    monkeypatch.setattr(type(row), "deflates", False)
    arguments = arguments_of(["--transport", "threads", "--role", "server", "--build", "pure"])
    (run,) = plan(arguments, Expectation.load())
    assert 301 == len(run.cases)


def test_a_run_that_was_interrupted_goes_on_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "autobahn.md")
    table.record([Result("server", "threads", "pure", {"1 to 7": "2 OK", "12": "1 OK"})], ["1.1.1", "7.1.1", "12.1.1"])
    asked = ["--transport", "threads", "--role", "server", "--cases", "1.*", "10.*", "12.*", "--missing"]
    pure, compiled = plan(arguments_of([*asked, "--build", "both"]), Expectation.load())[::-1]
    assert ("pure", ["10.1.1"]) == (pure.build, pure.cases)
    assert ("compiled", 107) == (compiled.build, len(compiled.cases))
    assert [] == plan(arguments_of([*asked[:-4], "1.*", "--missing", "--build", "pure"]), Expectation.load())
