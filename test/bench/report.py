"""Write what was found: as text, as JSON, as tables of a page, as a chart (see `chart`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ws4py_ng

from .cases import CASES, Case
from .goals import Outcome
from .measure import machine
from .run import Results, Series
from .samples import Effort, Sample, entries_of

BEGIN, END = "<!-- made by test.bench -->", "<!-- end of what was made -->"


def about(results: Results, effort: Effort) -> dict[str, Any]:
    """Name the machine, the versions and the effort."""
    versions = {"ws4py_ng": ws4py_ng.__version__}
    for case, found in results.items():
        entries = entries_of(CASES[case])
        for name, series in found.items():
            if series.samples and entries[name].library:
                versions[entries[name].library] = entries[name].version()
    return {
        "machine": machine(),
        "versions": dict(sorted(versions.items())),
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": effort.rounds,
    }


def to_json(results: Results, outcomes: list[Outcome], effort: Effort) -> str:
    """Write everything."""
    cases = {
        case: {
            "title": CASES[case].title,
            "unit": f"{CASES[case].unit} per {CASES[case].per}",
            "programs": {name: _series_to_json(series) for name, series in found.items()},
        }
        for case, found in results.items()
    }
    goals = [
        {
            "case": outcome.goal.case,
            "ours": outcome.goal.ours,
            "peer": outcome.peer,
            "goal": outcome.goal.most,
            "reached": outcome.reached,
            "met": outcome.is_met,
            "of": "size" if outcome.goal.size else CASES[outcome.goal.case].unit,
        }
        for outcome in outcomes
    ]
    return json.dumps({**about(results, effort), "goals": goals, "cases": cases}, indent=1) + "\n"


def _series_to_json(series: Series) -> dict[str, Any]:
    if not series.samples:
        return {"error": series.error}
    return {
        "median": round(series.median, 1),
        "spread": round(series.spread, 3),
        "figures": [round(figure, 1) for figure in series.figures],
        **({} if series.rate is None else {"rate": round(series.rate)}),
        **({} if series.size is None else {"size": round(series.size, 1)}),
    }


def from_json(text: str) -> Results:
    """Read the results that `to_json` wrote, of the cases and programs that there still are."""
    return {
        name: {
            program: _series_from_json(series)
            for program, series in case["programs"].items()
            if program in entries_of(CASES[name])
        }
        for name, case in json.loads(text)["cases"].items()
        if name in CASES
    }


def _series_from_json(told: dict[str, Any]) -> Series:
    samples = [Sample(figure, told.get("rate"), told.get("size")) for figure in told.get("figures", ())]
    return Series(samples, told.get("error"))


def figure_of(case: Case, value: float) -> str:
    """Write a figure for people: microseconds, or KiB."""
    if case.unit == "B":
        return f"{value / 1024:.1f} KiB"
    return f"{value / 1000:.3g} µs" if value < 999_500 else f"{value / 1e6:.3g} ms"


def case_rows(case: Case, found: dict[str, Series]) -> Iterator[tuple[str, ...]]:
    """Write the rows of one case, the cheapest first."""
    measured = sorted((s.median, name) for name, s in found.items() if s.samples)
    for median, name in measured:
        series = found[name]
        cost = figure_of(case, median) + (f", {series.size:.0f} B" if series.size else "")
        ratio = f"{median / measured[0][0]:.2f}" if measured[0][0] > 0 else "-"
        yield name, cost, f"{series.spread:.0%}", ratio, f"{series.rate:,.0f}" if series.rate else "-"
    for name, series in found.items():
        if not series.samples:
            yield name, series.error or "", "", "", ""


def goal_rows(outcomes: list[Outcome]) -> Iterator[tuple[str, ...]]:
    """Write the rows of the goals."""
    for outcome in outcomes:
        goal = outcome.goal
        case = CASES[goal.case]
        what = f"{case.title}{' (size)' if goal.size else ''}"
        if goal.absolute:
            most = figure_of(case, goal.most)
            reached = "not measured" if outcome.reached is None else figure_of(case, outcome.reached)
        else:
            most = fraction(goal.most)
            reached = "not measured" if outcome.reached is None else fraction(outcome.reached)
        verdict = "" if outcome.reached is None else "yes" if outcome.is_met else "no"
        yield what, goal.ours, outcome.peer, most, reached, verdict


def fraction(ratio: float) -> str:
    """Write a ratio: as a part of one when it is small."""
    return f"{ratio:.2f}" if ratio > 0.7 else f"1/{1 / ratio:.1f}".removesuffix(".0")


CASE_HEAD = ("program", "cost", "spread", "ratio", "per second")
GOAL_HEAD = ("case", "ours", "against", "goal: at most", "reached", "met")


def to_text(results: Results, outcomes: list[Outcome]) -> str:
    """Write it for a terminal."""
    lines = []
    for name, found in results.items():
        case = CASES[name]
        lines += ["", f"{name}: {case.title}, per {case.per}"]
        lines += _aligned([CASE_HEAD, *case_rows(case, found)])
    if outcomes:
        lines += ["", "goals, the furthest from it first"]
        lines += _aligned([GOAL_HEAD, *goal_rows(outcomes)])
    return "\n".join(lines)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column[:400]) for column in zip(*rows, strict=True)]
    widths[1] = min(widths[1], 40)
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _markdown(rows: list[tuple[str, ...]]) -> list[str]:
    head, *body = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return [head, "|" + " --- |" * len(rows[0]), *body, ""]


def to_markdown(results: Results, outcomes: list[Outcome], effort: Effort) -> str:
    """Write the tables of the page."""
    told = about(results, effort)
    computer = told["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    lines = [
        f"Measured on {told['date']}: {computer['cpu']}, {computer['cpus']} CPUs, {computer['system']}, TCP "
        f"with {computer['tcp']}, {computer['python']}. {versions}. Medians of up to {told['rounds']} rounds; all that "
        "a case compares was measured in one run.",
        "",
        "### Goals",
        "",
        *_markdown([GOAL_HEAD, *goal_rows(outcomes)]),
    ]
    for name, found in results.items():
        case = CASES[name]
        lines += [f"### {case.title}", "", f"`{name}`, per {case.per}.", ""]
        lines += _markdown([CASE_HEAD, *case_rows(case, found)])
    return "\n".join(lines)


def replace_tables(page: Path, tables: str) -> None:
    """Put the tables between the marks of a page."""
    text = page.read_text(encoding="utf-8")
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{page} has not both of the marks {BEGIN!r} and {END!r}")
    page.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", encoding="utf-8")
