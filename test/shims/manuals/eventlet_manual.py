"""What the page of eventlet's manual on its module websocket promises."""

from __future__ import annotations

import errno
import os
import ssl
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import eventlet
import pytest
from eventlet import event, websocket, wsgi

from ws4py_ng.client.eventletclient import connect
from ws4py_ng.exc import ConnectionClosed
from ws4py_ng.limits import MIB, Limits

WAIT = 5
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", KEY)
LARGE = Limits(max_message_size=16 * MIB)


class _Quiet:
    def write(self, text: str) -> None: ...


@contextmanager
def serving(application: Any, sock: Any = None) -> Iterator[int]:
    listener = sock or eventlet.listen(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    greenlet = eventlet.spawn(wsgi.server, listener, application, log=_Quiet())
    try:
        with eventlet.Timeout(6 * WAIT):
            yield port
    finally:
        eventlet.kill(greenlet)
        listener.close()


def ask(port: int, *lines: str) -> str:
    sock = eventlet.connect(("127.0.0.1", port))
    sock.sendall("\r\n".join(["GET / HTTP/1.1", "Host: localhost", *lines, "", ""]).encode())
    answer = b" 0 "
    with eventlet.Timeout(2, False):
        answer = bytes(sock.recv(4096))
    sock.close()
    return answer.decode("latin-1").lower()


def close_code(ws: Any) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        ws.receive(WAIT)
    return int(caught.value.code or 0)


def compressed(sock: Any) -> bytes:
    """Read a small frame of compressed binary data; its payload is less than 126 bytes."""

    def read(size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += sock.recv(size - len(data)) or pytest.fail("no more comes")
        return data

    first, size = read(2)
    assert 0xC2 == first
    key = read(4) * 32 if size & 0x80 else bytes(128)
    return bytes(a ^ b for a, b in zip(read(size & 0x7F), key, strict=False))


@websocket.WebSocketWSGI
def echo(ws: Any) -> None:
    while True:
        message = ws.wait()
        if message is None:
            break
        ws.send(message)


def test_what_comes_is_sent_back_by_kind() -> None:
    with serving(echo) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        ws.send("text")
        assert (False, "text") == ((m := ws.receive(WAIT)).is_binary, str(m))
        ws.send(b"\x00\xff", binary=True)
        assert (True, b"\x00\xff") == ((m := ws.receive(WAIT)).is_binary, m.data)


def test_an_empty_message_is_not_the_end() -> None:
    with serving(echo) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        ws.send("")
        ws.send("more")
        assert ["", "more"] == [str(ws.receive(WAIT)), str(ws.receive(WAIT))]


def test_wait_gives_none_at_the_end_and_sending_is_a_broken_pipe() -> None:
    ends = event.Event()

    @websocket.WebSocketWSGI
    def listen(ws: Any) -> None:
        end = ws.wait()
        try:
            for _ in range(50):
                ws.send("late")
                eventlet.sleep(0.01)
        except OSError as error:
            ends.send((end, error.errno))

    with serving(listen) as port:
        with connect(f"ws://127.0.0.1:{port}/"):
            pass
        assert (None, errno.EPIPE) == ends.wait(WAIT)


def test_the_object_says_what_was_asked() -> None:
    seen = event.Event()

    @websocket.WebSocketWSGI
    def look(ws: Any) -> None:
        seen.send((ws.path, ws.origin, ws.version, ws.environ["QUERY_STRING"], ws.protocol))

    with serving(look) as port, connect(f"ws://127.0.0.1:{port}/x?y=1", origin="http://elsewhere") as ws:
        assert ("/x", "http://elsewhere", 13, "y=1", None) == seen.wait(WAIT)
        assert 1000 == close_code(ws)


def test_anything_is_sent_by_its_str() -> None:
    @websocket.WebSocketWSGI
    def number(ws: Any) -> None:
        ws.send(42)

    with serving(number) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        assert "42" == str(ws.receive(WAIT))


def test_an_array_is_sent_as_the_bytes_that_it_is() -> None:
    application = websocket.WebSocketWSGI(lambda ws: ws.send(array("B", b"\x00\xff" * 40)))
    with serving(application) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        assert (True, b"\x00\xff" * 40) == ((m := ws.receive(WAIT)).is_binary, m.data)


def test_close_closes() -> None:
    @websocket.WebSocketWSGI
    def leave(ws: Any) -> None:
        ws.close((1001, "bye"))

    with serving(leave) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        assert 1001 == close_code(ws)


def test_configured_is_a_decorator_that_chooses_a_subprotocol() -> None:
    @websocket.WebSocketWSGI.configured(supported_protocols=["one", "two"])
    def chosen(ws: Any) -> None:
        ws.send(ws.protocol)

    with serving(chosen) as port, connect(f"ws://127.0.0.1:{port}/", ["zero", "two", "one"]) as ws:
        assert [b"two"] == ws.protocols
        assert "two" == str(ws.receive(WAIT))


def test_an_origin_checker_refuses_with_403() -> None:
    asked: list[tuple[str, str]] = []

    def check(host: str, origin: str) -> bool:
        asked.append((host, origin))
        return origin == "http://good"

    application = websocket.WebSocketWSGI.configured(lambda ws: ws.send("in"), origin_checker=check)
    with serving(application) as port:
        refused = ask(port, *UPGRADE, "Sec-WebSocket-Version: 13", "Origin: http://bad")
        with connect(f"ws://127.0.0.1:{port}/", origin="http://good") as ws:
            assert "in" == str(ws.receive(WAIT))
        assert "403" == refused.split()[1]
        assert [("localhost", "http://bad"), (f"127.0.0.1:{port}", "http://good")] == asked


def test_a_checker_is_asked_about_a_program_too_which_has_no_origin() -> None:
    application = websocket.WebSocketWSGI.configured(
        echo.handler, origin_checker=lambda host, origin: not origin.strip()
    )
    with serving(application) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        ws.send("in")
        assert "in" == str(ws.receive(WAIT))


def test_without_a_checker_every_origin_may_connect() -> None:
    with serving(echo) as port, connect(f"ws://127.0.0.1:{port}/", origin="http://elsewhere") as ws:
        ws.send("x")
        assert "x" == str(ws.receive(WAIT))


def test_no_upgrade_is_400() -> None:
    with serving(echo) as port:
        assert "400" == ask(port).split()[1]


def test_a_version_that_is_not_spoken_is_426() -> None:
    with serving(echo) as port:
        answer = ask(port, *UPGRADE, "Sec-WebSocket-Version: 99")
    assert "426" == answer.split()[1]
    assert "13" in answer[answer.index("sec-websocket-version") :].split("\r\n")[0]


def test_the_drafts_are_refused_with_the_version_to_speak() -> None:
    keys = ("Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5", "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00")
    with serving(echo) as port:
        answer = ask(port, "Upgrade: WebSocket", "Connection: Upgrade", "Origin: http://localhost", *keys)
    assert "426" == answer.split()[1]
    assert "sec-websocket-version: 13" in answer


def test_a_message_that_is_too_long_closes_with_1009() -> None:
    application = websocket.WebSocketWSGI(echo.handler, max_frame_length=1000)
    with serving(application) as port, connect(f"ws://127.0.0.1:{port}/", deflate=False) as ws:
        ws.send("x" * 1000)
        assert 1000 == len(str(ws.receive(WAIT)))
        ws.send("x" * 1001)
        assert 1009 == close_code(ws)


def test_fragments_count_together() -> None:
    application = websocket.WebSocketWSGI(echo.handler, max_frame_length=1000)
    with serving(application) as port, connect(f"ws://127.0.0.1:{port}/", deflate=False) as ws:
        ws.send(["x" * 600, "x" * 600])
        assert 1009 == close_code(ws)


def test_the_default_is_8_mib() -> None:
    with serving(echo) as port, connect(f"ws://127.0.0.1:{port}/", deflate=False, limits=LARGE) as ws:
        ws.send(b"x" * (8 * MIB), binary=True)
        assert 8 * MIB == len(ws.receive(WAIT).data)
        ws.send(b"x" * (8 * MIB + 1), binary=True)
        assert 1009 == close_code(ws)


def test_tls_is_that_of_the_listener() -> None:
    certificates = Path(os.environ["WS4PY_NG_CONTRACT_CERTS"])
    files = {"certfile": str(certificates / "server.pem"), "keyfile": str(certificates / "server.key")}
    listener = eventlet.wrap_ssl(eventlet.listen(("127.0.0.1", 0)), server_side=True, **files)
    context = ssl.create_default_context(cafile=certificates / "authority.pem")
    with serving(echo, listener) as port, connect(f"wss://localhost:{port}/", ssl_context=context) as ws:
        ws.send("x" * 100_000)
        assert 100_000 == len(str(ws.receive(WAIT)))


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("side", ["server", "client"])
def test_compression_keeps_its_context_unless_that_was_agreed(side: str, keeps: bool) -> None:
    """What eventlet's own tests look at by private names: the second of two equal messages is much shorter."""
    message = bytes(range(100))
    no_takeover = {f"{side}_no_context_takeover": not keeps}

    def repeat(ws: Any) -> None:
        ws.send(message)
        ws.send(message)
        ws.wait()

    with ExitStack() as stack:
        stack.enter_context(eventlet.Timeout(WAIT))
        if side == "server":
            port = stack.enter_context(serving(websocket.WebSocketWSGI(repeat)))
            sock = stack.enter_context(eventlet.connect(("127.0.0.1", port)))
            offer = "; ".join(["permessage-deflate", *(name for name, value in no_takeover.items() if value)])
            lines = ("GET / HTTP/1.1", "Host: x", *UPGRADE, "Sec-WebSocket-Version: 13")
            sock.sendall("\r\n".join([*lines, f"Sec-WebSocket-Extensions: {offer}", "", ""]).encode())
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
        else:
            listener = stack.enter_context(eventlet.listen(("127.0.0.1", 0)))
            mine = stack.enter_context(eventlet.connect(listener.getsockname()))
            sock = stack.enter_context(listener.accept()[0])
            ws = websocket.RFC6455WebSocket(mine, {}, client=True, extensions={"permessage-deflate": no_takeover})
            stack.callback(eventlet.spawn(repeat, ws).wait)
            stack.callback(sock.close)
        first, second = compressed(sock), compressed(sock)
        assert (first == second, len(second) < len(message) / 2) == (not keeps, keeps)
        sock.sendall(b"\x88\x80\x00\x00\x00\x00" if side == "server" else b"\x88\x00")


def test_bad_utf8_closes_with_1007() -> None:
    with serving(echo) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        ws.sock.sendall(b"\x81\x82\x00\x00\x00\x00\xc3\x28")
        assert 1007 == close_code(ws)


def test_reserved_bits_close_with_1002() -> None:
    with serving(echo) as port, connect(f"ws://127.0.0.1:{port}/", deflate=False) as ws:
        ws.sock.sendall(b"\xb1\x82\x00\x00\x00\x00hi")
        assert 1002 == close_code(ws)


def test_a_ping_is_answered_while_the_handler_is_busy() -> None:
    done = event.Event()

    @websocket.WebSocketWSGI
    def busy(ws: Any) -> None:
        ws.send("begun")
        done.wait(WAIT)

    with serving(busy) as port, connect(f"ws://127.0.0.1:{port}/") as ws:
        assert "begun" == str(ws.receive(WAIT))
        ponged = event.Event()
        ws.ponged = lambda pong: ponged.send(pong.data)
        ws.ping("there?")
        assert b"there?" == ponged.wait(WAIT)
        done.send(None)
