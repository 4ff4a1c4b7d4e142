"""Receive in threads; what holds for greenlets as well is in the contract."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

import ws4py_ng
from ws4py_ng.client.threadedclient import Connection, connect
from ws4py_ng.exc import ConnectionClosed, HandshakeError
from ws4py_ng.limits import Limits
from ws4py_ng.server.threadedserver import Server, serve
from ws4py_ng.websocket import EchoWebSocket, WebSocket

WAIT = 60.0


def url(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/"


@pytest.fixture
def server() -> Any:
    with serve({"/": EchoWebSocket}, port=0) as found:
        found.start()
        yield found


def test_the_package_itself_connects(server: Server) -> None:
    with ws4py_ng.connect(url(server), ["chat"], limits=Limits(max_inbox=100)) as ws:
        ws.send("hello")
        message = ws.receive(timeout=WAIT)
        assert ("hello", True) == (str(message), message.is_text)
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive()
    assert 1000 == caught.value.code
    assert [] == list(ws)


def test_a_refusal_is_raised_at_connect(server: Server) -> None:
    with pytest.raises(HandshakeError):
        connect(url(server) + "elsewhere")


def test_an_error_in_the_block_closes_with_1001() -> None:
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()

    class Told(WebSocket):
        def closed(self, code: int, reason: Any = None) -> None:
            codes.put(code)

    with serve(Told, port=0) as server:
        server.start()
        with pytest.raises(LookupError, match="mine"), connect(url(server)):
            raise LookupError("mine")
        assert 1001 == codes.get(timeout=WAIT)


def test_it_is_not_connected_before_connect(server: Server) -> None:
    ws = Connection(url(server))
    with pytest.raises(RuntimeError, match="not connected"):
        ws.receive(timeout=0)
    ws.close_connection()


def test_a_timeout_of_nothing_asks_whether_something_is_there(server: Server) -> None:
    with connect(url(server)) as ws:
        for _ in range(100):
            with pytest.raises(TimeoutError, match="No message within 0 s"):
                ws.receive(timeout=0)
        ws.send("x")
        assert "x" == str(ws.receive())


def test_a_hook_cannot_wait_for_what_it_keeps_from_being_read(server: Server) -> None:
    errors: queue.SimpleQueue[Exception] = queue.SimpleQueue()

    class Eager(Connection):
        def opened(self) -> None:
            self.receive()

        def unhandled_error(self, error: Exception) -> None:
            errors.put(error)

    ws = Eager(url(server))
    ws.connect()
    assert "receive() in a hook" in str(errors.get(timeout=WAIT))
    ws.run_forever()


def test_of_several_who_receive_each_gets_messages_of_its_own(server: Server) -> None:
    found: queue.SimpleQueue[str] = queue.SimpleQueue()
    with connect(url(server)) as ws:
        threads = [threading.Thread(target=lambda: [found.put(str(message)) for message in ws]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for i in range(200):
            ws.send(f"{i}")
        assert sorted(map(str, range(200))) == sorted(found.get(timeout=WAIT) for _ in range(200))
        ws.close()
        for thread in threads:
            thread.join(WAIT)
            assert not thread.is_alive()


def test_who_closes_with_a_full_inbox_ends_well(server: Server) -> None:
    with connect(url(server), limits=Limits(max_inbox=1)) as ws:
        for i in range(100):
            ws.send(f"{i}")
        assert "0" == str(ws.receive())
    assert "1" == str(ws.receive())
