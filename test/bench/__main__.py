"""``python -m test.bench``: measure, and say what was found."""

from __future__ import annotations

import argparse
import signal
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from .cases import CASES
from .goals import judge
from .network import own_network
from .process import ROOT
from .report import from_json, replace_tables, to_json, to_markdown, to_text
from .run import Results, run, say
from .samples import FULL, QUICK, Effort, all_names, entries_of
from .table import Entry

EPILOG = """
--only takes names of cases and of programs, with * and ?, by commas; it may be given more than once:
  --only echo-32-many                            one case, all programs
  --only echo-32-many,ng/asyncio,picows          one case, two programs
  --only 'tls-*' --only 'ng/*'                   the cases of TLS, our servers
A run of everything writes docs/performance.json, .svg and the tables of docs/performance.md; with
--update a run of some cases, with all their programs, takes the place of these cases there. Any other
writes below .reports/bench/ only.
"""


def choose(only: list[str]) -> dict[str, list[Entry]]:
    """Return the programs of each case that were asked for; exits for a name that is none."""
    patterns = [pattern for each in only for pattern in each.split(",") if pattern]
    cases = [name for name in CASES if any(fnmatchcase(name, pattern) for pattern in patterns)]
    programs = {name for name in all_names() if any(fnmatchcase(name, pattern) for pattern in patterns)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in [*CASES, *all_names()]):
            sys.exit(
                f"--only: {pattern!r} is no case and no program. Cases: {', '.join(CASES)}. "
                f"Programs: {', '.join(sorted(all_names()))}."
            )
    chosen = {
        name: [entry for entry in entries_of(CASES[name]).values() if not programs or entry.name in programs]
        for name in cases or CASES
    }
    return {name: entries for name, entries in chosen.items() if entries}


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; return 1 if something of ours failed."""
    parser = argparse.ArgumentParser(
        prog="python -m test.bench",
        description="Measure CPU per message, memory and size, here and with others.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", default=[], metavar="NAMES", help="cases and programs, see below")
    parser.add_argument("--quick", action="store_true", help="less of everything: figures to be taken with caution")
    parser.add_argument("--update", action="store_true", help="put the cases that are run into docs/")
    parser.add_argument("--list", action="store_true", help="print the cases and their programs")
    options = parser.parse_args(arguments)
    chosen = choose(options.only)
    if options.list:
        for name, entries in chosen.items():
            print(f"{name}: {' '.join(entry.name for entry in entries)}")
        return 0
    effort = QUICK if options.quick else FULL
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f"{parser.prog} was told to end"))
    if options.update and (options.quick or not _is_whole(chosen)):
        parser.error("--update takes whole cases: no --quick, and no names of programs in --only")
    with own_network():
        return _measure(chosen, effort, options.update)


def _measure(chosen: dict[str, list[Entry]], effort: Effort, update: bool) -> int:
    results = run(chosen, effort)
    outcomes = judge(results)
    print(to_text(results, outcomes))
    if update or (_is_whole(chosen) and set(chosen) == set(CASES) and effort is FULL):
        _publish(results, effort)
    else:
        folder = ROOT / ".reports" / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        Path(folder, "performance.json").write_text(to_json(results, outcomes, effort), encoding="utf-8")
        say(f"written: {folder / 'performance.json'}")
    return 1 if _ours_failed(results) else 0


def _is_whole(chosen: dict[str, list[Entry]]) -> bool:
    """Tell whether each case has all its programs."""
    return all(len(entries) == len(entries_of(CASES[name])) for name, entries in chosen.items())


def _publish(found: Results, effort: Effort) -> None:
    """Write docs/; cases that were not run stay as they were."""
    from .chart import draw

    folder = ROOT / "docs"
    data = folder / "performance.json"
    before = from_json(data.read_text(encoding="utf-8")) if data.exists() else {}
    merged = {**before, **found}
    results = {name: merged[name] for name in CASES if name in merged}
    outcomes = judge(results)
    data.write_text(to_json(results, outcomes, effort), encoding="utf-8")
    replace_tables(folder / "performance.md", to_markdown(results, outcomes, effort))
    draw(results, folder / "performance.svg")
    say(f"written: {data}, .md and .svg")


def _ours_failed(results: Results) -> bool:
    """Tell whether a program of this project failed that could be run."""
    return any(
        name.split("/")[0] == "ng" and series.error and not series.error.startswith("not installed")
        for found in results.values()
        for name, series in found.items()
    )


if __name__ == "__main__":
    sys.exit(main())
