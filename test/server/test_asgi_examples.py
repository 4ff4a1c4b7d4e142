"""The examples of ASGI run as their users run them."""

from __future__ import annotations

import json
import signal
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from test.programs import ROOT, Program


@contextmanager
def example(name: str) -> Iterator[tuple[str, Program]]:
    """Run an example; yield its host and port. It ends well at Ctrl-C."""
    for library in ("uvicorn", name.partition("_")[0]):
        if find_spec(library) is None:
            pytest.skip(f"{name} needs {library}")
    with Program([sys.executable, "-W", "error", str(ROOT / "example" / f"{name}.py"), "0"]) as program:
        yield program.line().removeprefix("listening on ws://").rstrip("/"), program
        program.send_signal(signal.SIGINT)
        assert (0, []) == (program.status(), program.errors())


def test_starlette() -> None:
    with example("starlette_echo") as (host, _):
        with urllib.request.urlopen(f"http://{host}/") as page:
            assert b"There are WebSockets" in page.read()
        with connect(f"ws://{host}/echo", proxy=None) as ws:
            ws.send(b"\x00")
            assert b"\x00" == ws.recv()
        with connect(f"ws://{host}/rooms/shout", proxy=None) as ws:
            ws.send("grüße")
            assert "GRÜSSE" == ws.recv()


def test_fastapi() -> None:
    with example("fastapi_chat") as (host, _):
        room = f"ws://{host}/room/"
        with connect(room, proxy=None) as ada, connect(room, proxy=None) as bob:
            ada.send("hello")
            assert ("hello", "hello") == (ada.recv(), bob.recv())
            said = urllib.request.Request(f"http://{host}/say?text=news", method="POST")
            with urllib.request.urlopen(said) as answer:
                assert {"heard_by": 2} == json.load(answer)
            assert ("news", "news") == (ada.recv(), bob.recv())


def test_our_frames_in_uvicorn() -> None:
    with example("uvicorn_frames") as (host, program):
        assert host
        with connect(f"ws://{host}/", proxy=None) as ws:
            ws.send("there")
            assert "the pong came back: there" == ws.recv()
            program.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv()
            assert caught.value.rcvd is not None
            assert 1001 == caught.value.rcvd.code
