"""Run the Autobahn Testsuite against our server and our client, and compare with what is expected.

``python -m test.autobahn.run [--quick | --cases 1.* 7.*] [--transport gevent] [--role server] [--build pure]``

A transport is a row of the contract (test/transports/contract.py): whoever adds a row there has it run here.
What it showed of whole sections is written into the table in the docs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from test.autobahn import report, side, table
from test.autobahn.report import CONFIG, Expectation, Outcome
from test.autobahn.table import Result, sections
from test.autobahn.wstest import REPO, MissingTool, clean_environment, find_wstest

REPORTS = REPO / ".reports" / "autobahn"
# Only a hang reaches it: who ends instead of starting is noticed at once.
START_SECONDS = 120.0
STOP_SECONDS = 15.0
# For one run; the suite's own limit for one case of groups 12 and 13 is eight minutes.
RUN_SECONDS = {"quick": 900.0, "full": 7200.0}
SIDE = (sys.executable, "-m", "test.autobahn.side")
BUILDS = ("compiled", "pure")
ROLES = ("server", "client")
# What the short run is made over: one driver that blocks, and one that does not.
QUICK_TRANSPORTS = ("threads", "asyncio")
T = TypeVar("T")


class RunFailed(Exception):
    """Say why a run could not be made."""


class Run(NamedTuple):
    """Name one run: a role of one transport in one build, with the cases to run."""

    transport: str
    role: str
    build: str
    cases: Sequence[str]
    seconds: float

    @property
    def agent(self) -> str:
        """Name the peer in the suite's reports."""
        return f"ws4py_ng_{self.transport}_{self.role}_{self.build}"

    @property
    def outdir(self) -> Path:
        """Say where the reports and logs of this run go."""
        return REPORTS / f"{self.transport}-{self.role}-{self.build}"


def environment(build: str) -> dict[str, str]:
    """Make the environment that chooses a build."""
    chosen = {**os.environ, "PYTHONUNBUFFERED": "1"}
    chosen.pop("WS4PY_NG_PURE", None)
    return chosen if build == "compiled" else {**chosen, "WS4PY_NG_PURE": "1"}


def check_build(build: str) -> None:
    """Make sure that the build is there: the core may not have been compiled."""
    command = [sys.executable, "-c", "import ws4py_ng; print(ws4py_ng.BUILD)"]
    asked = subprocess.run(command, env=environment(build), cwd=REPO, capture_output=True, text=True, check=False)
    if asked.stdout.strip() != build:
        raise RunFailed(f"the {build} build is not there: {asked.stdout.strip() or asked.stderr.strip()}")


@contextlib.contextmanager
def started(command: Sequence[str], log: Path, build: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program with its output in a file, and end this very process afterwards.

    Ours is started in a build; the suite, without one, in an environment that Python 2.7 can take.
    """
    env = environment(build) if build else {**clean_environment(os.environ), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=REPO)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log for an error message."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-lines:])


def await_start(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], T | None]) -> T:
    """Ask until the process is ready, and give up when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        answer = ready()
        if answer is not None:
            return answer
        if process.poll() is not None:
            raise RunFailed(f"`{subprocess.list2cmdline(process.args)}` ended at once:\n{tail(log)}")
        time.sleep(0.05)
    raise RunFailed(f"`{subprocess.list2cmdline(process.args)}` was not ready in {START_SECONDS} s:\n{tail(log)}")


def listening_url(log: Path) -> str | None:
    """Find the address that our server printed."""
    found = re.search(r"^listening on (ws://\S+)\s", log.read_text("utf-8", "replace"), re.MULTILINE)
    return found and found[1]


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool | None:
    """Tell whether somebody listens there by now."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return None


def write_spec(run: Run, template: str, **values: object) -> Path:
    """Fill in one of the templates of autobahn_config."""
    spec = json.loads((CONFIG / f"{template}.json").read_text("utf-8"))
    spec |= {"outdir": str(run.outdir), "cases": list(run.cases), **values}
    path = run.outdir / f"{template}.json"
    path.write_text(json.dumps(spec, indent=3) + "\n", "utf-8")
    return path


def finish(process: subprocess.Popen[bytes], run: Run, log: Path) -> None:
    """Wait for the side that ends by itself."""
    try:
        status = process.wait(run.seconds)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"{run.agent}: not done in {run.seconds} s, see {log}\n{tail(log)}") from None
    if status != 0:
        print(f"{run.agent}: exit status {status}, see {log}\n{tail(log)}")


def run_server(run: Run, wstest: Path) -> None:
    """Let the suite's client run against our server."""
    log, ours = run.outdir / "wstest.log", run.outdir / "server.log"
    with started([*SIDE, "server", run.transport], ours, run.build) as server:
        url = await_start(server, ours, lambda: listening_url(ours))
        spec = write_spec(run, "fuzzingclient", servers=[{"url": url, "agent": run.agent}])
        with started([str(wstest), "-m", "fuzzingclient", "-s", str(spec)], log) as suite:
            finish(suite, run, log)


def run_client(run: Run, wstest: Path) -> None:
    """Let our client run against the suite's server."""
    log, ours = run.outdir / "wstest.log", run.outdir / "client.log"
    port = free_port()
    url = f"ws://127.0.0.1:{port}"
    spec = write_spec(run, "fuzzingserver", url=url)
    with started([str(wstest), "-m", "fuzzingserver", "-s", str(spec), "-u", "0"], log) as suite:
        await_start(suite, log, lambda: accepts(port))
        with started([*SIDE, "client", run.transport, url, run.agent, str(len(run.cases))], ours, run.build) as client:
            finish(client, run, ours)


def perform(run: Run, wstest: Path, expectation: Expectation) -> Result:
    """Make one run and print what it showed."""
    run.outdir.mkdir(parents=True, exist_ok=True)
    for old in run.outdir.iterdir():
        old.unlink()
    began = time.monotonic()
    {"server": run_server, "client": run_client}[run.role](run, wstest)
    outcomes: dict[str, Outcome] = report.read_index(run.outdir, run.agent)
    if not outcomes:
        raise RunFailed(f"{run.agent}: no case was run, see {run.outdir}\n{tail(run.outdir / 'wstest.log')}")
    deviations = expectation.compare(run.cases, outcomes)
    verdict = f"{len(deviations)} NOT AS EXPECTED" if deviations else "as expected"
    seconds = time.monotonic() - began
    name = f"{run.transport} {run.role} {run.build}"
    lines = [f"{name:<32} {len(run.cases)} cases in {seconds:.0f} s: {verdict} ({report.count(run.cases, outcomes)})"]
    print("\n".join([*lines, *(f"    {deviation}" for deviation in deviations)]), flush=True)
    return Result(run.role, run.transport, run.build, sections(run.cases, outcomes), not deviations)


def plan(arguments: argparse.Namespace, expectation: Expectation) -> list[Run]:
    """List the runs that were asked for: each has the cases that its row is answerable for."""
    kind = "quick" if arguments.quick else "full"
    chosen = expectation.select(arguments.cases or report.patterns_of(kind))
    names = arguments.transport or (QUICK_TRANSPORTS if arguments.quick else [*side.servers(), *side.clients()])
    made = {result.key: result.cells for result in table.load()} if arguments.missing else {}
    runs = []
    for role, rows in (("server", side.servers()), ("client", side.clients())):
        if arguments.role in (role, "both"):
            for name in dict.fromkeys(name for name in names if name in rows):
                cases = [case for case in chosen if rows[name].deflates or not case.startswith(("12.", "13."))]
                builds = BUILDS if arguments.build == "both" else (arguments.build,)
                for build in builds:
                    there = made.get((role, name, build), {})
                    wanted = [case for case in cases if table.column_of(case) not in there]
                    if wanted:
                        runs.append(Run(name, role, build, wanted, RUN_SECONDS[kind]))
    unknown = {*names} - {*side.servers(), *side.clients()}
    if unknown:
        raise ValueError(f"no transport {', '.join(sorted(unknown))}: there are {', '.join(side.servers())}")
    return runs


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m test.autobahn.run", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the cases of autobahn_config/quick.json only")
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="these cases only: 7.* 12.1.1")
    parser.add_argument("--missing", action="store_true", help="only what the table in the docs does not have yet")
    parser.add_argument("--role", choices=[*ROLES, "both"], default="both")
    parser.add_argument("--build", choices=[*BUILDS, "both"], default="both")
    parser.add_argument("--transport", metavar="NAME", action="append", help="a row of the contract; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so many runs at once")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Make all runs that were asked for: 0 as expected, 1 not, 2 could not be made."""
    arguments = arguments_of(argv)
    expectation = Expectation.load()
    try:
        runs = plan(arguments, expectation)
        wstest = find_wstest()
        for build in {run.build for run in runs}:
            check_build(build)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            results = list(pool.map(lambda run: attempt(run, wstest, expectation, not arguments.quick), runs))
    except (MissingTool, RunFailed, ValueError) as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 2
    made = [result for result in results if isinstance(result, Result)]
    for failed in (result for result in results if isinstance(result, RunFailed)):
        print(f"autobahn: {failed}", file=sys.stderr)
    if len(made) < len(results):
        return 2
    return 0 if all(result.as_expected for result in made) else 1


def attempt(run: Run, wstest: Path, expectation: Expectation, record: bool) -> Result | RunFailed:
    """Make one run, and record it; one that cannot be made does not keep the others from being made."""
    try:
        result = perform(run, wstest, expectation)
    except RunFailed as error:
        return error
    if record:
        table.record([result], expectation.cases)
    return result


if __name__ == "__main__":
    sys.exit(main())
