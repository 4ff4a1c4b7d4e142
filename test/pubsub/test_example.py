"""The example of a hub, alone and joined by a broker."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from test.many import eventually
from test.programs import ROOT, Program

from .brokers import nats_server, redis_server

COMMAND = [sys.executable, "-W", "error", str(ROOT / "example" / "hub_chat.py"), "0"]


def url_from(program: Program) -> str:
    found = re.fullmatch(r"listening on (ws://127\.0\.0\.1:\d+/)", program.line())
    assert found
    return found[1]


def test_a_room_shows_its_last_lines_and_who_is_there() -> None:
    with Program(COMMAND) as program:
        url = url_from(program)
        with connect(f"{url}lobby?name=Ada", proxy=None) as ada:
            assert ["* here: nobody", "* Ada has come in"] == [ada.recv(), ada.recv()]
            ada.send("hello")
            assert "Ada: hello" == ada.recv()
            with connect(f"{url}lobby?name=Bob", proxy=None) as bob, connect(f"{url}other", proxy=None) as other:
                lines = ["* here: Ada", "* Ada has come in", "Ada: hello", "* Bob has come in"]
                assert lines == [bob.recv() for _ in lines]
                assert ["* here: nobody", "* somebody has come in"] == [other.recv(), other.recv()]
                bob.send("hi")
                assert ["* Bob has come in", "Bob: hi"] == [ada.recv(), ada.recv()]
            assert "* Bob has left" == ada.recv()
            program.send_signal()
        assert (0, []) == (program.status(), program.errors())


@pytest.mark.parametrize("broker_of", [redis_server, nats_server])
def test_a_room_may_be_in_two_processes(broker_of: Any, tmp_path: Path) -> None:
    with broker_of(tmp_path) as broker, Program([*COMMAND, broker.url]) as one, Program([*COMMAND, broker.url]) as two:
        first, second = url_from(one), url_from(two)
        with connect(f"{first}?name=Ada", proxy=None) as ada, connect(f"{second}?name=Bob", proxy=None) as bob:

            def is_heard() -> bool:
                ada.send("Bob?")  # what is said before the broker knows Bob is lost to him: at most once
                try:
                    while "Bob?" not in (line := str(bob.recv(0.2))):
                        assert line.startswith("*")
                except TimeoutError:
                    return False
                return True

            assert eventually(is_heard)
            bob.send("Ada!")
            while "Bob: Ada!" != ada.recv(5):
                pass
        for program in (one, two):
            program.send_signal()
            assert (0, []) == (program.status(), program.errors())
