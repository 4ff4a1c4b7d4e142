"""The table of results in the docs: each run replaces what it made anew, and leaves the rest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import NamedTuple

from test.autobahn.report import CONFIG, Outcome
from test.autobahn.wstest import REPO, VERSION

RESULTS = CONFIG / "results.json"
PAGE = REPO / "docs" / "reference" / "autobahn.md"
# The columns: what the suite's sections are about.
COLUMNS = {
    "1 to 7": ("1.", "2.", "3.", "4.", "5.", "6.", "7."),
    "9": ("9.",),
    "10": ("10.",),
    "12": ("12.",),
    "13": ("13.",),
}
_one_at_a_time = Lock()
HEAD = f"""# The Autobahn Testsuite

Results of autobahntestsuite {VERSION}, written by `make autobahn`. Sections 1 to 7 and 10 are the
protocol, 9 are large and many messages, 12 and 13 are permessage-deflate. "243 OK" means that both
the behaviour and the closing of 243 cases were OK. The suite itself calls 7.1.6, 7.13.1 and 7.13.2
informational, whatever happens. A dash: not run, or the host's business and not ours.

In asgi-events-uvicorn the frames are uvicorn's, by the websockets library. An echo of a dozen lines under the
same uvicorn, without ws4py_ng, has the same outcomes: UTF-8 is checked when a frame is complete (6.4), what came
before a violation is delivered or not, whoever is faster (3, 4, 5.15), and a Close within a fragmented message is
answered by 1002 (7.1.5).
"""


class Result(NamedTuple):
    """Say what one run showed: the cells of its row by column."""

    role: str
    transport: str
    build: str
    cells: dict[str, str]
    as_expected: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        """Name the row of the table."""
        return self.role, self.transport, self.build


def sections(cases: Iterable[str], outcomes: dict[str, Outcome]) -> dict[str, str]:
    """Count the outcomes by column: ``243 OK, 3 INFORMATIONAL``; worse of behaviour and closing."""
    found: dict[str, Counter[str]] = {}
    for case in cases:
        outcome = outcomes.get(case)
        found.setdefault(column_of(case), Counter())[_word(outcome)] += 1
    return {name: ", ".join(f"{n} {word}" for word, n in counts.most_common()) for name, counts in found.items()}


def column_of(case: str) -> str:
    """Say in which column a case is counted."""
    return next(name for name, prefixes in COLUMNS.items() if case.startswith(prefixes))


def _word(outcome: Outcome | None) -> str:
    if outcome is None:
        return "MISSING"
    return outcome.behavior if outcome.behavior != "OK" else outcome.close


def record(results: Sequence[Result], cases: Sequence[str]) -> None:
    """Take the results over into the file and the page, as far as they are of all ``cases`` of a column."""
    sizes = {name: len([case for case in cases if case.startswith(prefixes)]) for name, prefixes in COLUMNS.items()}
    with _one_at_a_time:
        rows = {result.key: result for result in load()}
        for result in results:
            whole = {name: cell for name, cell in result.cells.items() if _size(cell) == sizes[name]}
            old = rows.get(result.key, result._replace(cells={}))
            if whole:
                rows[result.key] = result._replace(cells=old.cells | whole)
        kept = sorted(rows.values(), key=lambda result: (result.role != "server", result.transport, result.build))
        RESULTS.write_text(json.dumps([result._asdict() for result in kept], indent=1) + "\n", "utf-8")
        PAGE.write_text(page(kept), "utf-8")


def _size(cell: str) -> int:
    """Return how many cases a cell counts."""
    return sum(int(part.split()[0]) for part in cell.split(", "))


def load() -> list[Result]:
    """Read the results of earlier runs."""
    return [Result(**each) for each in json.loads(RESULTS.read_text("utf-8"))] if RESULTS.exists() else []


def page(results: Sequence[Result]) -> str:
    """Make the page."""
    lines = [HEAD]
    for role in ("server", "client"):
        lines += [f"## As a {role}", "", f"| transport | build | {' | '.join(COLUMNS)} |"]
        lines += ["| --- | --- | " + " | ".join("---" for _ in COLUMNS) + " |"]
        for result in (result for result in results if result.role == role):
            cells = " | ".join(result.cells.get(column, "–") for column in COLUMNS)
            lines.append(f"| {result.transport} | {result.build} | {cells} |")
        lines.append("")
    return "\n".join(lines)
