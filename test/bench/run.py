"""Measure cases, round by round, and collect what was found."""

from __future__ import annotations

import os
import ssl
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from .cases import CASES, Case
from .process import Failed
from .samples import PROBES, Effort, Probe, Sample
from .table import Entry

FEW_ROUNDS = {"memory": 3, "broadcast": 3, "handshake": 7, "import": 7}
TROUBLE = (Failed, OSError, AssertionError, ValueError, ssl.SSLError, subprocess.CalledProcessError)


@dataclass
class Series:
    """Hold what the rounds found for one program in one case."""

    samples: list[Sample] = field(default_factory=list)
    error: str | None = None

    @property
    def figures(self) -> list[float]:
        """The figures of the rounds."""
        return [sample.figure for sample in self.samples]

    @property
    def median(self) -> float:
        """The median of the figures."""
        return statistics.median(self.figures)

    @property
    def spread(self) -> float:
        """How far the quartiles of the rounds lie apart, as a part of the median."""
        if len(self.figures) < 2 or not self.median:
            return 0.0
        lower, _, upper = statistics.quantiles(self.figures, n=4, method="inclusive")
        return (upper - lower) / self.median

    @property
    def rate(self) -> float | None:
        """The median of what was done in a second, by the clock."""
        rates = [sample.rate for sample in self.samples if sample.rate is not None]
        return statistics.median(rates) if rates else None

    @property
    def size(self) -> float | None:
        """The median of the bytes of an answer on the wire."""
        sizes = [sample.size for sample in self.samples if sample.size is not None]
        return statistics.median(sizes) if sizes else None


Results = dict[str, dict[str, Series]]


@contextmanager
def certificate() -> Iterator[str]:
    """Make a certificate for the runs with TLS."""
    import trustme

    with TemporaryDirectory() as folder:
        path = Path(folder, "server.pem")
        authority = trustme.CA()
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
        authority.cert_pem.write_to_path(str(path), append=True)
        yield str(path)


def say(line: str) -> None:
    """Tell the user how far it is."""
    print(line, file=sys.stderr, flush=True)


def measure(case: Case, entries: Iterable[Entry], effort: Effort, pem: str) -> dict[str, Series]:
    """Measure some programs in one case: all are sampled in every round."""
    found: dict[str, Series] = {}
    probes: dict[str, Probe] = {}
    try:
        for entry in entries:
            missing = entry.missing()
            if missing:
                found[entry.name] = Series(error=f"not installed: {', '.join(missing)}")
                continue
            found[entry.name] = Series()
            probes[entry.name] = PROBES[case.kind](case, entry, effort, pem)
            _attempt(probes, found, entry.name, "begin")
        for step in ("wait", "open"):
            for name in list(probes):
                _attempt(probes, found, name, step)
        for _ in range(rounds(case, effort)):
            for name in list(probes):
                sample = _attempt(probes, found, name, "sample")
                if sample is not None:
                    found[name].samples.append(sample)
    finally:
        for probe in probes.values():
            probe.close()
    return found


def rounds(case: Case, effort: Effort) -> int:
    """Return how many rounds a case has: some begin with something new in each, which takes long."""
    return min(effort.rounds, FEW_ROUNDS.get(case.kind, effort.rounds))


def _attempt(probes: dict[str, Probe], found: dict[str, Series], name: str, step: str) -> Sample | None:
    """Take a step with a probe; one that fails is out of this case."""
    try:
        result: Sample | None = getattr(probes[name], step)()
    except TROUBLE as error:
        found[name].error = f"{type(error).__name__}: {error}"
        found[name].samples.clear()
        say(f"  {name} FAILED: {found[name].error}")
        probes.pop(name).close()
        return None
    return result


def run(chosen: dict[str, list[Entry]], effort: Effort) -> Results:
    """Measure all that was chosen: for each case, some programs."""
    results: Results = {}
    needs_tls = any(CASES[name].tls for name in chosen)
    with one_cpu(), certificate() if needs_tls else _no_certificate() as pem:
        for name, entries in chosen.items():
            say(f"{name}: {len(entries)} programs, {rounds(CASES[name], effort)} rounds")
            results[name] = measure(CASES[name], entries, effort, pem)
    return results


@contextmanager
def one_cpu() -> Iterator[None]:
    """Keep the load generator, and the programs that it starts, on one CPU.

    To wake another CPU that sleeps costs more than a small message, and whether it sleeps depends on
    what else runs on the machine: with one message in flight figures were apart by a factor of two.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _no_certificate() -> Iterator[str]:
    yield ""
