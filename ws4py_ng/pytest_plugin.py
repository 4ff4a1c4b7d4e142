"""A plugin for pytest, there when the package is installed: recordings as tests, and of failed tests.

    @pytest.mark.ws_capture("checkout.wscap")
    def test_checkout(ws_replay):
        ws_replay(Checkout, splits="every")

``pytest --ws-capture-on-failure`` keeps what each connection of a failing test read and wrote, of every
server and client that has no ``capture=`` of its own, in other processes too. It imports nothing of the
package before that is asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .capture import Replay

__all__ = ["ws_capture", "ws_replay"]

DEFAULT_DIRECTORY = ".ws-captures"
# As `capture.settings.ENVIRONMENT`, which is not imported here.
ENVIRONMENT = "WS4PY_NG_CAPTURE"
# Bytes of a test's name that a directory is named by: what is longer than 255 no file system takes.
MAX_NAME = 200
_NO_NAME = re.compile(r"[^\w.-]+")

_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("ws4py_ng").addoption(
        "--ws-capture-on-failure",
        metavar="DIRECTORY",
        nargs="?",
        const=DEFAULT_DIRECTORY,
        help=f"keep a capture of each WebSocket connection of a failing test (default: {DEFAULT_DIRECTORY})",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker, and record if that is wanted."""
    config.addinivalue_line(
        "markers", "ws_capture(file, ...): run with each recording, whose path is the fixture ws_capture"
    )
    directory = config.getoption("--ws-capture-on-failure")
    if directory is not None:
        kept = config.invocation_params.dir / directory
        # It may be the name of a test: argparse gives it to the option that stands before it.
        if "::" in directory or not next(path for path in (kept, *kept.parents) if path.exists()).is_dir():
            raise pytest.UsageError(
                f"--ws-capture-on-failure: {directory} is no directory: name one by --ws-capture-on-failure=DIR, "
                "or put the option behind the tests"
            )
        config.pluginmanager.register(_OnFailure(kept), "ws4py_ng-on-failure")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each recording of its marker."""
    marker = metafunc.definition.get_closest_marker("ws_capture")
    if marker is not None and not marker.args:
        pytest.fail('ws_capture names no recording: @pytest.mark.ws_capture("trace.wscap")', pytrace=False)
    if marker is not None and "ws_capture" in metafunc.fixturenames:
        here = metafunc.definition.path.parent
        paths = [here / str(name) for name in marker.args]
        metafunc.parametrize("ws_capture", paths, ids=[path.name for path in paths], indirect=True)


@pytest.fixture
def ws_capture(request: pytest.FixtureRequest) -> Path | None:
    """Give the recording of the marker ``ws_capture``; its path is relative to the test's file."""
    path: Path | None = getattr(request, "param", None)
    return path


@pytest.fixture
def ws_replay(ws_capture: Path | None, request: pytest.FixtureRequest) -> Callable[..., Replay]:
    """Drive a class by the marker's recording, or by ``capture``, and check that it does the same.

    ``ws_replay(MyWebSocket, splits="every")`` takes the options of `ws4py_ng.capture.replay` and returns
    what it returns; ``check=False`` leaves it at that. Raises AssertionError at the first difference.
    """

    def run(
        websocket: Any, capture: str | os.PathLike[str] | None = None, *, check: bool = True, **options: Any
    ) -> Any:
        from .capture import replay

        source = ws_capture if capture is None else request.path.parent / capture
        if source is None:
            raise pytest.UsageError("ws_replay: of which recording? Mark the test by ws_capture, or give capture=")
        result = replay(source, websocket, **options)
        return result.check() if check else result

    return run


class _OnFailure:
    """Record everything, and keep it if the test fails."""

    def __init__(self, directory: Path) -> None:
        self._kept = directory
        self._scratch = Path(tempfile.mkdtemp(prefix="ws4py_ng-"))
        self._before = os.environ.get(ENVIRONMENT)
        os.environ[ENVIRONMENT] = f"{self._scratch}{os.sep}"

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind."""
        if self._before is None:
            os.environ.pop(ENVIRONMENT, None)
        else:
            os.environ[ENVIRONMENT] = self._before
        shutil.rmtree(self._scratch, ignore_errors=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Keep or remove the captures, when the test and its fixtures have ended."""
        result = yield
        for path in self._scratch.glob("*.wscap*"):
            if item.stash.get(_failed, False):
                target = self._directory(item)
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            path.unlink(missing_ok=True)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Notice a failure, and say where its captures will be."""
        report = yield
        if report.failed and not item.stash.get(_failed, False):
            item.stash[_failed] = True
            if any(self._scratch.glob("*.wscap*")):
                report.sections.append(("WebSocket captures", f"{self._directory(item)}: ws4py-ng inspect FILE"))
        return report

    def _directory(self, item: pytest.Item) -> Path:
        name = _NO_NAME.sub("-", item.nodeid).strip("-").encode()
        if len(name) > MAX_NAME:
            name = name[:MAX_NAME] + b"-" + sha256(name).hexdigest()[:16].encode()
        return self._kept / name.decode(errors="ignore")
