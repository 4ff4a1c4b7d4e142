"""What a library's manual promises holds under its name, on ours; and where the original differs is known."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from test.compat_ws4py import suite
from test.server.wsgi_hosts import python_of
from test.transports.tls import CERTS, write_certificates

MANUALS = Path(__file__).parent / "manuals"


class Neighbour(NamedTuple):
    """Say what is compared; ``differs`` are the tests that the original does not pass, and why.

    In ``by_chance`` are those of them that it passes now and then: it races with its own closing.
    """

    install: str
    library: str
    differs: dict[str, str]
    by_chance: frozenset[str] = frozenset()
    # Of one test of the original, which may hang.
    timeout: float | None = None


NEIGHBOURS = {
    "eventlet": Neighbour(
        "eventlet.websocket",
        "eventlet",
        {
            "test_the_object_says_what_was_asked": "whoever returns closes without a code",
            "test_anything_is_sent_by_its_str": "with compression what is no str fails, and closes",
            "test_the_drafts_are_refused_with_the_version_to_speak": "it speaks them",
            "test_fragments_count_together": "each fragment may have max_frame_length bytes",
            "test_the_default_is_8_mib": "it closes while the message still comes, so that its code is lost",
            "test_bad_utf8_closes_with_1007": "it closes with 1011",
            "test_reserved_bits_close_with_1002": "it ignores them",
            "test_a_ping_is_answered_while_the_handler_is_busy": "it is answered in wait()",
        },
        by_chance=frozenset({"test_the_default_is_8_mib"}),
    ),
    "geventwebsocket": Neighbour(
        "geventwebsocket",
        "geventwebsocket",
        {
            "test_the_environ_says_what_was_asked": "it closes without a code",
            "test_returning_closes_with_1000": "it closes without a code",
            "test_the_application_closes_with_a_code": "the Close frame that it sends is broken",
            "test_on_close_is_called_whatever_on_message_raises": "it is not, and the None of the end is answered",
            "test_wamp_calls_and_publishes": "WampProtocol cannot be made on Python 3",
            "test_bad_utf8_closes_with_1007": "it closes without a code",
            "test_a_frame_without_a_mask_closes_with_1002": "it accepts them",
            "test_a_server_that_stops_says_1001": "it leaves the connections as they are",
        },
    ),
    "simple_websocket": Neighbour(
        "simple_websocket",
        "simple_websocket",
        {
            "test_nothing_is_written_behind_the_close_frame": "Werkzeug's response follows it",
            "test_a_message_that_is_too_large_closes_with_1009": "the application is told, and the peer is not",
            "test_a_request_that_is_no_websocket_is_400": "it is 500",
            "test_messages_of_every_size_pass_aiohttp": "above 64 KiB both aiohttp and it read the socket",
            "test_asgi_is_served": "the client loses a message above 64 KiB",
            "test_accept_takes_one_of_its_three": "headers without a socket are passed over",
        },
        timeout=12.0,
    ),
    "ws4py": Neighbour(
        "ws4py",
        "ws4py",
        {
            "test_what_a_hook_got_may_be_kept": "its data is None behind the hook",
            "test_closed_has_the_code_of_a_violation": "it is 1006",
            "test_a_close_frame_that_says_nothing_good_is_1002": "it is answered with 1005, which must not be sent",
            "test_a_hook_that_fails_closes_with_1011": "the connection is cut",
            "test_a_message_that_is_too_large_closes_with_1009": "it asks the kernel for so much memory",
            "test_whom_we_close_in_a_manager_is_told_by_closed": "closed() is not called, and the socket stays open",
            "test_a_heartbeat_beats_in_a_manager": "it beats in run() only",
        },
        timeout=12.0,
    ),
    "ws4py_tutorials": Neighbour(
        "ws4py",
        "ws4py",
        {
            "test_tls_verifies_the_server_without_options": "it verifies nothing",
            "test_an_answer_that_is_not_as_rfc_6455_writes_it_is_a_handshake_error": "a missing header will do",
            "test_what_comes_with_the_answer_is_not_lost": "the first of them is not",
            "test_the_tutorials_tornado_client_runs_in_its_loop": "it is one for tornado 5",
            "test_a_plain_request_is_told_to_upgrade": "it is 500",
            "test_a_server_that_stops_says_1001": "that over gevent does not on Python 3",
        },
        timeout=12.0,
    ),
}


@pytest.fixture
def certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CERTS, str(tmp_path))  # so that it is forgotten afterwards
    write_certificates(tmp_path)


def failures(name: str, where: Path, install: str) -> tuple[set[str], int, str]:
    """Run a manual's tests on the original, or on what ``install`` names: what failed, and how many there are."""
    file = f"{name}_manual"
    shutil.copy(MANUALS / f"{file}.py", where)
    python = python_of(NEIGHBOURS[name].library)
    assert python, f"{NEIGHBOURS[name].library} has no environment: `make test` makes it"
    timeout = None if install else NEIGHBOURS[name].timeout
    found, output = suite.outcomes(where, [file], "test.shims.plugin", python, timeout, WS4PY_NG_INSTALL=install)
    return {test.partition("[")[0] for (_, test), passed in found.items() if not passed}, len(found), output


@pytest.mark.usefixtures("certificates")
@pytest.mark.parametrize("name", NEIGHBOURS)
def test_ours_keeps_what_the_manual_promises(name: str, tmp_path: Path) -> None:
    failed, count, output = failures(name, tmp_path, NEIGHBOURS[name].install)
    assert set() == failed, output
    assert (MANUALS / f"{name}_manual.py").read_text().count("\ndef test_") <= count


@pytest.mark.original
@pytest.mark.usefixtures("certificates")
@pytest.mark.parametrize("name", NEIGHBOURS)
def test_where_the_original_differs_is_known(name: str, tmp_path: Path) -> None:
    by_chance = NEIGHBOURS[name].by_chance
    known = NEIGHBOURS[name].differs.keys() - by_chance
    for _ in range(3):  # the original may be late on a busy machine, and a test that hangs ends all of them
        failed, _, output = failures(name, tmp_path, "")
        if known == failed - by_chance:
            break
    assert known == failed - by_chance, output
