"""eventlet's own tests of its WebSockets pass on `shims.eventlet.websocket`."""

from __future__ import annotations

from pathlib import Path

from test.compat_ws4py import suite
from test.server.wsgi_hosts import python_of

VERSION = "0.41.3"
FILE = "tests.websocket_new_test"
# What looks at names of the implementation, with an underscore before them.
PRIVATE = {
    "test_client_compress_no_context_takeover_13": "_pack_message, on a WebSocket without a socket",
    "test_client_compress_with_context_takeover_13": "_pack_message, on a WebSocket without a socket",
    "test_server_compress_no_context_takeover_13": "_pack_message, _send and _recv_frame",
    "test_server_compress_with_context_takeover_13": "_recv_frame",
    # All else in it holds: both messages that fit come back, and the next one closes.
    "test_large_frame_size_uncompressed_13": "_remote_close_data, with eventlet's words",
}
PASSED = 16


def test_eventlets_own_tests_pass(tmp_path: Path) -> None:
    sdist = suite.fetch(name="eventlet", version=VERSION)
    suite.unpack(sdist, tmp_path, "tests", "tests")
    python = python_of("eventlet")
    assert python, "eventlet has no environment: `make test` makes .venv-legacy"
    found, output = suite.outcomes(
        tmp_path, ["tests/websocket_new_test"], "test.shims.plugin", python, WS4PY_NG_INSTALL="eventlet.websocket"
    )
    failed = {name for (_, name), passed in found.items() if not passed}
    assert set(PRIVATE) == failed, output
    assert PASSED == len(found) - len(failed)
