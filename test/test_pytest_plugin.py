"""The plugin for pytest, in runs of pytest of its own."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from test.programs import ROOT, run
from test.recordings.make import HERE
from ws4py_ng.capture import read

HEAD = """
import pytest
from ws4py_ng.websocket import EchoWebSocket, WebSocket

class Silent(WebSocket):
    pass
"""


def outcome(directory: Path, test: str, *options: str) -> tuple[int, str]:
    """Run a test file beside two recordings."""
    for name in ("text", "close_by_browser"):
        shutil.copy(HERE / f"{name}.wscap.gz", directory)
    (directory / "test_it.py").write_text(HEAD + test)
    command = [sys.executable, "-m", "pytest", "-p", "ws4py_ng.pytest_plugin", "-p", "no:cacheprovider", "-W", "error"]
    done = run([*command, "--strict-markers", "-rA", *options], cwd=directory)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_a_recording_is_a_test(tmp_path: Path) -> None:
    status, said = outcome(
        tmp_path,
        """
@pytest.mark.ws_capture("text.wscap.gz", "close_by_browser.wscap.gz")
def test_marked(ws_replay, ws_capture):
    assert ws_capture.exists()
    assert ws_replay(EchoWebSocket, splits="random").hooks

def test_given(ws_replay):
    assert ws_replay(Silent, "text.wscap.gz", check=False).difference

def test_differs(ws_replay):
    ws_replay(Silent, "text.wscap.gz")

def test_nothing(ws_replay):
    ws_replay(EchoWebSocket)
""",
    )
    assert 1 == status
    assert "PASSED test_it.py::test_marked[text.wscap.gz]" in said
    assert "PASSED test_it.py::test_marked[close_by_browser.wscap.gz]" in said
    assert "PASSED test_it.py::test_given" in said
    assert "AssertionError: What was sent differs from the recording at byte 0" in said
    assert "of which recording? Mark the test by ws_capture" in said


CONNECTS = """
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.server.threadedserver import serve

@pytest.fixture
def client():
    with serve(EchoWebSocket, "127.0.0.1", 0) as server:
        server.start()
        client = WebSocketClient(f"ws://127.0.0.1:{server.port}/")
        client.connect()
        yield client
        client.close()
        client.run_forever()

def test_bad(client):
    client.send("before the failure")
    assert False

def test_good(client):
    pass
"""


def test_a_failing_test_leaves_the_captures_of_its_connections(tmp_path: Path) -> None:
    status, said = outcome(tmp_path, CONNECTS, "--ws-capture-on-failure=kept")
    assert 1 == status
    assert ["test_it.py-test_bad"] == [path.name for path in (tmp_path / "kept").iterdir()]
    connections = [read(path).connection() for path in (tmp_path / "kept/test_it.py-test_bad").iterdir()]
    assert ["client", "server"] == sorted(each.role for each in connections)
    assert f"{tmp_path / 'kept' / 'test_it.py-test_bad'}: ws4py-ng inspect FILE" in said


LONG = r"""
@pytest.mark.parametrize("end", ["one", "other"])
@pytest.mark.parametrize("long", ["x"], ids=["\u00e4" * 150])
def test_long(client, long, end):
    assert False
"""


def test_a_test_of_any_name_leaves_its_captures(tmp_path: Path) -> None:
    status, _ = outcome(tmp_path, CONNECTS + LONG, "--ws-capture-on-failure=kept", "-k", "test_long")
    assert 1 == status
    assert [2, 2] == [len(list(path.iterdir())) for path in (tmp_path / "kept").iterdir()]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--ws-capture-on-failure", "test_it.py"), "test_it.py"),
        (("--ws-capture-on-failure", "test_it.py::test_bad"), "test_it.py::test_bad"),
        (("--ws-capture-on-failure=/dev/null",), "/dev/null"),
        (("--ws-capture-on-failure=test_it.py/below",), "test_it.py/below"),
    ],
)
def test_what_is_no_directory_is_wrong_usage(options: tuple[str, ...], named: str, tmp_path: Path) -> None:
    status, said = outcome(tmp_path, CONNECTS, *options)
    assert pytest.ExitCode.USAGE_ERROR == status
    assert f"{named} is no directory: name one by --ws-capture-on-failure=DIR, or put the option behind" in said


def test_a_marker_that_names_no_recording_is_an_error(tmp_path: Path) -> None:
    status, said = outcome(tmp_path, "@pytest.mark.ws_capture()\ndef test_marked(ws_replay):\n    pass\n")
    assert pytest.ExitCode.INTERRUPTED == status
    assert 'ws_capture names no recording: @pytest.mark.ws_capture("trace.wscap")' in said


def test_nothing_is_recorded_when_it_is_not_asked_for(tmp_path: Path) -> None:
    assert 1 == outcome(tmp_path, CONNECTS)[0]
    assert not (tmp_path / ".ws-captures").exists()


def test_the_plugin_is_an_entry_point_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    # A name with a dot, so that `-p ws4py_ng.pytest_plugin` does not register it twice.
    assert {"ws4py_ng.pytest_plugin": "ws4py_ng.pytest_plugin"} == project["entry-points"]["pytest11"]
