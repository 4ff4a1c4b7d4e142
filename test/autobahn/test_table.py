"""The table of results, from results made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.autobahn import table
from test.autobahn.report import Outcome
from test.autobahn.table import Result, load, page, record, sections

OK, INFORMATIONAL = Outcome("OK", "OK"), Outcome("INFORMATIONAL", "INFORMATIONAL")


def test_cases_are_counted_by_column_and_the_worse_word_counts() -> None:
    outcomes = {
        "1.1.1": OK,
        "2.1": Outcome("OK", "UNCLEAN"),
        "7.13.1": INFORMATIONAL,
        "7.1.1": OK,
        "10.1.1": Outcome("FAILED", "OK"),
    }
    assert {
        "1 to 7": "2 OK, 1 UNCLEAN, 1 INFORMATIONAL",
        "10": "1 FAILED",
        "12": "1 MISSING",
    } == sections([*outcomes, "12.1.1"], outcomes)


CASES = ["1.1.1", "7.1.1", "10.1.1"]


@pytest.fixture
def page_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the results be recorded elsewhere."""
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "autobahn.md")
    return tmp_path / "autobahn.md"


def test_a_run_replaces_its_own_cells_and_leaves_the_others(page_file: Path) -> None:
    old = Result("server", "threads", "pure", {"1 to 7": "2 OK", "10": "1 FAILED"}, False)
    other = Result("client", "threads", "pure", {"10": "1 OK"})
    record([old, other], CASES)
    record([old._replace(cells={"10": "1 OK"}, as_expected=True)], CASES)
    assert [("server", "1 OK"), ("client", "1 OK")] == [(result.role, result.cells["10"]) for result in load()]
    assert "| threads | pure | 2 OK | – | 1 OK | – | – |" in page_file.read_text("utf-8")


def test_what_is_not_of_a_whole_section_is_not_recorded(page_file: Path) -> None:
    record([Result("server", "threads", "pure", {"1 to 7": "1 OK"})], CASES)
    assert [] == load()


def test_the_page_of_the_docs_is_that_of_the_results() -> None:
    assert page(load()) == table.PAGE.read_text("utf-8")
