"""What a run of the suite has to show, and what it did show. It knows JSON and no process."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent.parent.parent / "autobahn_config"
MISSING = "MISSING"


@dataclass(frozen=True)
class Outcome:
    """Say how one case went: the behaviour, that of the closing, and the file that tells more."""

    behavior: str
    close: str
    report: Path | None = None


@dataclass(frozen=True)
class Deviation:
    """Say that a case went otherwise than expected."""

    case: str
    expected: Outcome
    got: Outcome

    def __str__(self) -> str:
        where = self.got.report or "no report: the case did not run to its end"
        return (
            f"{self.case}: expected {self.expected.behavior} / {self.expected.close}, "
            f"got {self.got.behavior} / {self.got.close}  ({where})"
        )


class Expectation:
    """Know the cases of the suite and what is expected of each, from expected.json."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.usual = Outcome(spec["behavior"], spec["behaviorClose"])
        self.exceptions = {
            case: Outcome(each["behavior"], each["behaviorClose"]) for case, each in spec["exceptions"].items()
        }
        self.cases = [f"{section}.{n}" for section, count in spec["cases"].items() for n in range(1, count + 1)]

    @classmethod
    def load(cls) -> Expectation:
        """Read autobahn_config/expected.json."""
        return cls(json.loads((CONFIG / "expected.json").read_text("utf-8")))

    def select(self, patterns: Iterable[str]) -> list[str]:
        """List the cases that match any of the patterns; ValueError for one that matches none."""
        wanted: set[str] = set()
        for pattern in patterns:
            matching = {case for case in self.cases if fnmatchcase(case, pattern)}
            if not matching:
                raise ValueError(f"no case of the suite matches {pattern!r}")
            wanted |= matching
        return [case for case in self.cases if case in wanted]

    def of(self, case: str) -> Outcome:
        """Say what one case has to show."""
        return self.exceptions.get(case, self.usual)

    def compare(self, cases: Iterable[str], outcomes: dict[str, Outcome]) -> list[Deviation]:
        """List every case that is not as expected; one that is not there is not."""
        missing = Outcome(MISSING, MISSING)
        deviations = []
        for case in cases:
            expected, got = self.of(case), outcomes.get(case, missing)
            if (expected.behavior, expected.close) != (got.behavior, got.close):
                deviations.append(Deviation(case, expected, got))
        return deviations


def patterns_of(name: str) -> list[str]:
    """Read the patterns of autobahn_config/full.json or quick.json."""
    patterns: list[str] = json.loads((CONFIG / f"{name}.json").read_text("utf-8"))["cases"]
    return patterns


def read_index(outdir: Path, agent: str) -> dict[str, Outcome]:
    """Read the suite's index.json for one agent; empty when there is none."""
    index = outdir / "index.json"
    if not index.exists():
        return {}
    cases = json.loads(index.read_text("utf-8")).get(agent, {})
    return {
        case: Outcome(each["behavior"], each["behaviorClose"], outdir / each["reportfile"])
        for case, each in cases.items()
    }


def count(cases: Iterable[str], outcomes: dict[str, Outcome]) -> str:
    """Count the behaviours and the closings for one line of output."""
    found = [outcomes.get(case, Outcome(MISSING, MISSING)) for case in cases]
    behaviors = Counter(each.behavior for each in found)
    closings = Counter(each.close for each in found)
    text = ", ".join(f"{number} {name}" for name, number in behaviors.most_common())
    return f"{text}; closing: " + ", ".join(f"{number} {name}" for name, number in closings.most_common())
