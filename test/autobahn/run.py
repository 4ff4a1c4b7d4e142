"""Run the Autobahn Testsuite against our server and our client, and compare with what is expected.

``python -m test.autobahn.run [--quick | --cases 1.* 7.*] [--role server] [--build pure]``
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
from pathlib import Path
from typing import NamedTuple, TypeVar

from test.autobahn import report
from test.autobahn.report import CONFIG, Expectation, Outcome
from test.autobahn.wstest import REPO, MissingTool, clean_environment, find_wstest

REPORTS = REPO / ".reports" / "autobahn"
MAX_MESSAGE = 16 * 1024 * 1024  # case 9.1.6
START_SECONDS = 20.0
STOP_SECONDS = 15.0
# For one run; the suite's own limit for one case of groups 12 and 13 is eight minutes.
RUN_SECONDS = {"quick": 900.0, "full": 7200.0}
BUILDS = ("compiled", "pure")
ROLES = ("server", "client")
T = TypeVar("T")


class Transport(NamedTuple):
    """Say how to start the server and the client of one transport.

    The server prints ``listening on ws://HOST:PORT/`` first; the client takes a URL and an agent.
    """

    server: tuple[str, ...]
    client: tuple[str, ...]


SERVE = ("-m", "ws4py_ng", "serve", "--app", "echo", "--host", "127.0.0.1", "--port", "0")
TRANSPORTS = {
    "threads": Transport(
        server=(sys.executable, *SERVE, "--max-message-size", str(MAX_MESSAGE)),
        client=(sys.executable, "-m", "test.autobahn.client"),
    ),
}


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
    with started(TRANSPORTS[run.transport].server, ours, run.build) as server:
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
        with started([*TRANSPORTS[run.transport].client, url, run.agent], ours, run.build) as client:
            finish(client, run, ours)


def perform(run: Run, wstest: Path, expectation: Expectation) -> bool:
    """Make one run and print what it showed; True when all is as expected."""
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
    print(f"{name:<24} {len(run.cases)} cases in {seconds:.0f} s: {verdict} ({report.count(run.cases, outcomes)})")
    for deviation in deviations:
        print(f"    {deviation}")
    sys.stdout.flush()
    return not deviations


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m test.autobahn.run", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the cases of autobahn_config/quick.json only")
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="these cases only: 7.* 12.1.1")
    parser.add_argument("--role", choices=[*ROLES, "both"], default="both")
    parser.add_argument("--build", choices=[*BUILDS, "both"], default="both")
    parser.add_argument("--transport", choices=[*TRANSPORTS], action="append", help="default: all")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Make all runs that were asked for: 0 as expected, 1 not, 2 could not be made."""
    arguments = arguments_of(argv)
    expectation = Expectation.load()
    kind = "quick" if arguments.quick else "full"
    builds = BUILDS if arguments.build == "both" else (arguments.build,)
    roles = ROLES if arguments.role == "both" else (arguments.role,)
    try:
        cases = expectation.select(arguments.cases or report.patterns_of(kind))
        wstest = find_wstest()
        for build in builds:
            check_build(build)
        results = [
            perform(Run(transport, role, build, cases, RUN_SECONDS[kind]), wstest, expectation)
            for transport in arguments.transport or TRANSPORTS
            for role in roles
            for build in builds
        ]
    except (MissingTool, RunFailed, ValueError) as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 2
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
