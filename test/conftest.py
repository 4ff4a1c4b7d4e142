"""What holds for every test run: the build that was asked for, and no test left out in CI.

`WS4PY_NG_EXPECT=compiled` or `pure` (set by the Makefile) fails a run that got the other build,
`CI=true` turns every skip into a failure. What is marked `original` tests another library and none
of ours: it runs in the pure build only, which is always tested.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

import ws4py_ng

CORE = Path(ws4py_ng.__path__[0]) / "_core"
IN_CI = os.environ.get("CI") == "true"

# How long an example takes says more about the machine than about the code; and CI must fail
# for the change that it tests, not for a new random example.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if IN_CI else "here")


def stale_extensions() -> list[str]:
    """Name the compiled modules that are older than a source of the core."""
    sources = [path.stat().st_mtime for kind in ("*_py.py", "*.pxd", "*.pyx") for path in CORE.glob(kind)]
    newest = max(sources, default=0.0)
    built = [path for kind in ("*.so", "*.pyd") for path in CORE.glob(kind)]
    return sorted(path.name for path in built if path.stat().st_mtime < newest)


def wrong_build(expected: str | None, build: str, stale: list[str]) -> str | None:
    """Say why these tests would test the wrong thing, None when they will not."""
    if expected not in (None, build):
        return f"WS4PY_NG_EXPECT={expected}, but ws4py_ng.BUILD is {build!r}: did the build of the extensions fail?"
    if build == "compiled" and stale:
        return f"{', '.join(stale)}: older than the sources in {CORE}; run `make build`"
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test the wrong build; let programs that tests start hear Ctrl-C."""
    config.addinivalue_line("markers", "original: of another library; runs in the pure build only")
    # A shell that starts us in the background has SIGINT ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    problem = wrong_build(os.environ.get("WS4PY_NG_EXPECT") or None, ws4py_ng.BUILD, stale_extensions())
    if problem:
        raise pytest.UsageError(problem)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is of another library to one of the builds."""
    if ws4py_ng.BUILD == "pure":
        return
    left = [item for item in items if item.get_closest_marker("original")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not item.get_closest_marker("original")]


def pytest_report_header(config: pytest.Config) -> str:
    """Show which build is tested, and from where."""
    return f"ws4py_ng: {ws4py_ng.BUILD} build, {ws4py_ng.__path__[0]}"


def forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a failure of a skip; an expected failure (xfail) is none."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\nSkipped, and CI=true allows no skip: .ci/run installs what a test needs."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Apply the rule to tests."""
    report = yield
    if IN_CI:
        forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Apply the rule to whole modules."""
    report = yield
    if IN_CI:
        forbid_skip(report)
    return report
