"""What counts as expected, tried on small reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from test.autobahn.report import MISSING, Expectation, Outcome, count, patterns_of, read_index

AGENT = "ours"
SMALL = Expectation(
    {
        "behavior": "OK",
        "behaviorClose": "OK",
        "exceptions": {"7.13.1": {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}},
        "cases": {"1.1": 2, "2": 1, "7.13": 1},
    }
)
ALL = ["1.1.1", "1.1.2", "2.1", "7.13.1"]
GOOD = {"1.1.1": "OK/OK", "1.1.2": "OK/OK", "2.1": "OK/OK", "7.13.1": "INFORMATIONAL/INFORMATIONAL"}


def index_of(outdir: Path, results: dict[str, str]) -> dict[str, Outcome]:
    """Write an index.json as the suite does, and read it back."""
    cases = {}
    for case, result in results.items():
        behavior, close = result.split("/")
        file = f"{AGENT}_case_{case.replace('.', '_')}.json"
        cases[case] = {"behavior": behavior, "behaviorClose": close, "duration": 1, "reportfile": file}
    (outdir / "index.json").write_text(json.dumps({AGENT: cases, "another": {}}))
    return read_index(outdir, AGENT)


def test_a_run_as_expected_has_no_deviations(tmp_path: Path) -> None:
    assert [] == SMALL.compare(ALL, index_of(tmp_path, GOOD))


@pytest.mark.parametrize(
    ("case", "result"),
    [
        ("1.1.1", "FAILED/OK"),
        ("1.1.1", "NON-STRICT/OK"),
        ("1.1.1", "INFORMATIONAL/INFORMATIONAL"),
        ("1.1.2", "UNIMPLEMENTED/OK"),
        ("1.1.2", "OK/WRONG CODE"),
        ("1.1.2", "OK/UNCLEAN"),
        ("2.1", "OK/FAILED BY CLIENT"),
        ("2.1", "OK/INFORMATIONAL"),
        ("7.13.1", "FAILED/FAILED"),
        ("7.13.1", "INFORMATIONAL/OK"),
    ],
)
def test_anything_else_is_a_deviation_with_its_report(tmp_path: Path, case: str, result: str) -> None:
    (deviation,) = SMALL.compare(ALL, index_of(tmp_path, {**GOOD, case: result}))
    assert case == deviation.case
    text = str(deviation)
    assert "got " + result.replace("/", " / ") in text
    assert str(tmp_path / f"{AGENT}_case_{case.replace('.', '_')}.json") in text


def test_a_case_that_did_not_run_is_a_deviation(tmp_path: Path) -> None:
    results = {case: result for case, result in GOOD.items() if case != "2.1"}
    (deviation,) = SMALL.compare(ALL, index_of(tmp_path, results))
    assert ("2.1", MISSING) == (deviation.case, deviation.got.behavior)
    assert "no report" in str(deviation)


def test_without_a_report_every_case_is_missing(tmp_path: Path) -> None:
    assert ALL == [deviation.case for deviation in SMALL.compare(ALL, read_index(tmp_path, AGENT))]


def test_the_results_of_another_agent_do_not_count(tmp_path: Path) -> None:
    index_of(tmp_path, GOOD)
    assert {} == read_index(tmp_path, "another")
    assert {} == read_index(tmp_path, "nobody")


def test_patterns_select_cases_in_the_order_of_the_suite() -> None:
    assert ["1.1.2", "2.1"] == SMALL.select(["2.*", "1.1.2", "1.1.2"])
    assert ALL == SMALL.select(["*"])
    with pytest.raises(ValueError, match=r"8\.\*"):
        SMALL.select(["1.*", "8.*"])


def test_counts_show_behaviours_and_closings(tmp_path: Path) -> None:
    text = count(ALL, index_of(tmp_path, {**GOOD, "2.1": "FAILED/UNCLEAN"}))
    assert "2 OK, 1 FAILED, 1 INFORMATIONAL; closing: 2 OK, 1 UNCLEAN, 1 INFORMATIONAL" == text


def test_the_expectation_knows_the_whole_suite_and_excepts_three_cases() -> None:
    expectation = Expectation.load()
    assert 517 == len(expectation.select(patterns_of("full")))
    assert 301 == len([case for case in expectation.cases if not case.startswith(("12.", "13."))])
    assert {"7.1.6", "7.13.1", "7.13.2"} == set(expectation.exceptions)
    assert Outcome("OK", "OK") == expectation.usual


def test_the_quick_run_holds_the_protocol_and_every_family_of_compression() -> None:
    expectation = Expectation.load()
    quick = expectation.select(patterns_of("quick"))
    assert {case for case in expectation.cases if not case.startswith(("12.", "13."))} <= set(quick)
    families = {case.rpartition(".")[0] for case in expectation.cases if case.startswith(("12.", "13."))}
    assert families <= {case.rpartition(".")[0] for case in quick}
