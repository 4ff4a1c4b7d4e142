"""The examples of ASGI run as their users run them."""

from __future__ import annotations

import json
import signal
import urllib.request

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from test.server.asgi_examples import EXAMPLES, Example, program


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_each_answers_on_one_port(example: Example) -> None:
    if example.missing():
        pytest.skip(f"{example} needs {', '.join(example.missing())}")
    with example.run() as address, connect(f"ws://{address}{example.path}", proxy=None) as ws:
        ws.send("grüße")
        assert example.answer == ws.recv(timeout=30)
        if example.echoes:
            ws.send(b"\x00\xff")
            assert b"\x00\xff" == ws.recv(timeout=30)
            with urllib.request.urlopen(f"http://{address}{example.page}") as page:
                assert b"There " in page.read()
        ws.close(4321)
        assert ws.close_code == example.code


def test_starlette() -> None:
    with program("starlette_echo") as (host, _):
        with urllib.request.urlopen(f"http://{host}/") as page:
            assert b"There are WebSockets" in page.read()
        with connect(f"ws://{host}/echo", proxy=None) as ws:
            ws.send(b"\x00")
            assert b"\x00" == ws.recv()
        with connect(f"ws://{host}/rooms/shout", proxy=None) as ws:
            ws.send("grüße")
            assert "GRÜSSE" == ws.recv()


def test_fastapi() -> None:
    with program("fastapi_chat") as (host, _):
        room = f"ws://{host}/room/"
        with connect(room, proxy=None) as ada, connect(room, proxy=None) as bob:
            ada.send("hello")
            assert ("hello", "hello") == (ada.recv(), bob.recv())
            said = urllib.request.Request(f"http://{host}/say?text=news", method="POST")
            with urllib.request.urlopen(said) as answer:
                assert {"heard_by": 2} == json.load(answer)
            assert ("news", "news") == (ada.recv(), bob.recv())


def test_our_frames_in_uvicorn() -> None:
    with program("uvicorn_frames") as (host, running):
        assert host
        with connect(f"ws://{host}/", proxy=None) as ws:
            ws.send("there")
            assert "the pong came back: there" == ws.recv()
            running.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as caught:
                ws.recv()
            assert caught.value.rcvd is not None
            assert 1001 == caught.value.rcvd.code
