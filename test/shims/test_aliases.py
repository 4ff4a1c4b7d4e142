"""`install` answers imports by modules of ours, or says clearly why not."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys

import pytest

from test.programs import environment
from ws4py_ng.shims.aliases import NAMES, AliasFinder


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment(), capture_output=True, text=True, check=False
    )


def test_only_the_name_and_what_is_below_it_is_translated() -> None:
    finder = AliasFinder("ws4py", "ws4py_ng")
    assert "ws4py_ng" == finder.translated("ws4py")
    assert "ws4py_ng.client.threadedclient" == finder.translated("ws4py.client.threadedclient")
    assert finder.translated("ws4py_ng.client") is None
    assert finder.translated("logging") is None


def test_every_name_has_a_module() -> None:
    for name in NAMES.values():
        assert importlib.util.find_spec(name) is not None, name


def test_a_program_that_imports_ws4py_gets_this_package() -> None:
    done = python(
        "import ws4py_ng; ws4py_ng.install_as_ws4py(); ws4py_ng.install_as_ws4py()\n"
        "from ws4py.client.threadedclient import WebSocketClient\n"
        "from ws4py import websocket, exc\n"
        "import ws4py.messaging, ws4py_ng.client.threadedclient as ours\n"
        "assert WebSocketClient is ours.WebSocketClient and exc.__name__ == 'ws4py_ng.exc'"
    )
    assert (0, "") == (done.returncode, done.stderr)


def test_what_the_program_sets_for_ws4pys_logger_holds() -> None:
    done = python(
        "import logging, ws4py_ng; ws4py_ng.install_as_ws4py()\n"
        "logging.getLogger('ws4py').setLevel(logging.ERROR)\n"
        "assert logging.ERROR == logging.getLogger('ws4py_ng').getEffectiveLevel()"
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert logging.getLogger("ws4py_ng").parent is logging.getLogger()  # here nothing is installed


def test_what_the_program_logs_to_ws4py_goes_where_ours_goes_and_once() -> None:
    done = python(
        "import logging, ws4py_ng; ws4py_ng.install_as_ws4py()\n"
        "from ws4py import configure_logger\n"
        "assert logging.getLogger('ws4py') is configure_logger()\n"
        "logging.getLogger('ws4py').info('the program'); logging.getLogger('ws4py_ng').info('the library')"
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert ["INFO the program", "INFO the library"] == [line.split("] ")[1] for line in done.stdout.splitlines()]


# row: (what is installed, what a program does with it)
PROGRAMS = [
    ("ws4py", "from ws4py.streaming import VALID_CLOSING_CODES, Utf8Validator"),
    ("ws4py", "from ws4py.server.tulipserver import CRLF, EMPTY, LF, SPACE"),
    ("ws4py", "from ws4py.websocket import Heartbeat; h = Heartbeat(None); h.stop(); h.start(); h.join()"),
    ("geventwebsocket", "from geventwebsocket.utf8validator import Utf8Validator"),
    ("geventwebsocket", "from geventwebsocket.handler import WebSocketHandler; WebSocketHandler.GUID.encode()"),
    ("simple_websocket", "from simple_websocket.ws import Client, ConnectionClosed, ConnectionError, Server"),
    ("simple_websocket", "from simple_websocket.aiows import AioClient, AioServer, ConnectionClosed, ConnectionError"),
    (
        "simple_websocket",
        "import asyncio, simple_websocket as s\n"
        "connecting = s.AioClient.connect('ws+unix:///nowhere/at.all', thread_class=None, event_class=None)\n"
        "try: asyncio.run(connecting)\n"
        "except FileNotFoundError: pass",
    ),
    (
        "eventlet.websocket",
        "from ws4py_ng.shims.eventlet.websocket import BadRequest, ConnectionClosedError, ProtocolError",
    ),
    (
        "eventlet.websocket",
        "from ws4py_ng.shims.eventlet.websocket import PROTOCOL_GUID, VALID_CLOSE_STATUS, FailedConnectionError",
    ),
]


@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_names_that_a_program_may_import_are_there(name: str, program: str) -> None:
    done = python(f"from ws4py_ng.shims import install; install({name!r})\n{program}")
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("late", ["ws4py", "eventlet.websocket"])
def test_an_original_that_is_imported_already_is_named(late: str) -> None:
    done = python(
        f"import sys, types; sys.modules[{late!r}] = types.ModuleType({late!r})\n"
        "from ws4py_ng.shims import install\n"
        f"try: install('ws4py', 'eventlet.websocket')\n"
        "except RuntimeError as error: print(error)\n"
        "print([finder for finder in sys.meta_path if 'Alias' in type(finder).__name__])"
    )
    assert f"{late} is imported already, from None: call install('{late}') before the first import of it" in done.stdout
    assert "\n[]\n" in done.stdout, done.stderr


@pytest.mark.parametrize("names", ["", "'websockets'", "'ws4py', 'ws4py_ng'"])
def test_what_cannot_be_installed_is_a_value_error(names: str) -> None:
    done = python(f"from ws4py_ng.shims import install; install({names})")
    assert "ValueError: install(" in done.stderr
    assert f"expected some of {', '.join(map(repr, NAMES))}" in done.stderr


def test_a_module_that_we_do_not_have_is_not_taken_from_the_original() -> None:
    done = python("import ws4py_ng; ws4py_ng.install_as_ws4py(); import ws4py.no_such_module")
    assert "ModuleNotFoundError: No module named 'ws4py.no_such_module'" in done.stderr
