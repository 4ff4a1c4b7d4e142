"""The handshake as a WSGI application gives it: by start_response, from what an environ tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock
from wsgiref.util import setup_testing_defaults

import pytest

from test.client.peers import ACCEPT, KEY
from ws4py_ng.extensions import PerMessageDeflateFactory
from ws4py_ng.limits import Limits
from ws4py_ng.server.wsgiutils import WebSocketWSGIApplication, request_from_environ
from ws4py_ng.websocket import EchoWebSocket, WebSocket

GOOD = {
    "REQUEST_METHOD": "GET",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/chat",
    "QUERY_STRING": "room=1",
    "HTTP_HOST": "example.com",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_SEC_WEBSOCKET_KEY": KEY,
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
}


def good(**changes: Any) -> dict[str, Any]:
    """Make the environ of a good request and change it: None drops a key."""
    environ = {"ws4py_ng.socket": MagicMock()} | GOOD | changes
    return {key.replace("__", "."): value for key, value in environ.items() if value is not None}


class Answer:
    """Call an application, and keep what it answers."""

    def __init__(self, app: Callable[..., Any], environ: dict[str, Any]) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.body = b"".join(app(environ, self._start_response))
        self.environ = environ

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        assert not self.status
        self.status, self.headers = status, headers

    def get(self, name: str) -> list[str]:
        """Give the values of a header."""
        return [value for each, value in self.headers if each.lower() == name.lower()]


def test_a_good_request_gets_101_and_leaves_a_websocket_in_the_environ() -> None:
    environ = good()
    answer = Answer(WebSocketWSGIApplication(handler_cls=EchoWebSocket), environ)
    assert "101 Switching Protocols" == answer.status
    assert b"" == answer.body
    assert [ACCEPT] == answer.get("Sec-WebSocket-Accept")
    assert ["websocket"] == answer.get("Upgrade")
    assert ["Upgrade"] == answer.get("Connection")
    assert [] == answer.get("Sec-WebSocket-Protocol") + answer.get("Sec-WebSocket-Extensions")
    ws = environ["ws4py_ng.websocket"]
    assert isinstance(ws, EchoWebSocket)
    assert ws is environ["ws4py.websocket"]
    assert environ["ws4py_ng.socket"] is ws.sock
    assert "/chat" == ws.environ["PATH_INFO"]
    assert ws.environ is not environ
    assert ([], []) == (ws.protocols, ws.extensions)


def test_ws4pys_name_for_the_socket_will_do() -> None:
    sock = MagicMock()
    environ = good(ws4py_ng__socket=None, ws4py__socket=sock)
    del environ["ws4py_ng.socket"]
    assert "101 Switching Protocols" == Answer(WebSocketWSGIApplication(), environ).status
    assert sock is environ["ws4py_ng.websocket"].sock


# row: (changes, status, header); 52, 53 and 54 are defects of ws4py: it answered 500
REFUSED = {
    "52 a plain request": ({"HTTP_UPGRADE": None, "HTTP_CONNECTION": None}, 426, ("Upgrade", "websocket")),
    "52 a plain request with keep-alive": ({"HTTP_UPGRADE": None}, 426, ("Sec-WebSocket-Version", "13")),
    "53 no key": ({"HTTP_SEC_WEBSOCKET_KEY": None}, 400, None),
    "53 a key that came twice, joined": ({"HTTP_SEC_WEBSOCKET_KEY": f"{KEY},{KEY}"}, 400, None),
    "53 a short key": ({"HTTP_SEC_WEBSOCKET_KEY": "AAAA"}, 400, None),
    "54 no version": ({"HTTP_SEC_WEBSOCKET_VERSION": None}, 426, ("Sec-WebSocket-Version", "13")),
    "54 version 8": ({"HTTP_SEC_WEBSOCKET_VERSION": "8"}, 426, ("Sec-WebSocket-Version", "13")),
    "54 a version that is none": ({"HTTP_SEC_WEBSOCKET_VERSION": "x"}, 426, ("Sec-WebSocket-Version", "13")),
    "POST": ({"REQUEST_METHOD": "POST"}, 405, ("Allow", "GET")),
    "HTTP/1.0": ({"SERVER_PROTOCOL": "HTTP/1.0"}, 505, None),
    "no Host": ({"HTTP_HOST": None}, 400, None),
    "a body": ({"CONTENT_LENGTH": "4"}, 400, None),
    "a chunked body": ({"HTTP_TRANSFER_ENCODING": "chunked"}, 400, None),
    "a foreign Origin": ({"HTTP_ORIGIN": "http://evil.example"}, 403, None),
    "no Upgrade in Connection": ({"HTTP_CONNECTION": "keep-alive"}, 400, None),
    "a header of control characters": ({"HTTP_X": "a\nb"}, 400, None),
    "a header that is no token": ({"HTTP_X Y": "1"}, 400, None),
    "a target of blanks": ({"RAW_URI": "/a b"}, 400, None),
    "a version of HTTP that is none": ({"SERVER_PROTOCOL": "HTTP"}, 400, None),
}


@pytest.mark.parametrize(("changes", "status", "header"), REFUSED.values(), ids=list(REFUSED))
def test_a_refusal_has_a_status_and_one_line(changes: Any, status: int, header: Any) -> None:
    answer = Answer(WebSocketWSGIApplication(), good(**changes))
    assert status == int(answer.status.split()[0])
    assert answer.body.count(b"\n") == 1
    assert answer.body.endswith(b"\n")
    assert [str(len(answer.body))] == answer.get("Content-Length")
    if header is not None:
        assert [header[1]] == answer.get(header[0])
    assert "ws4py_ng.websocket" not in answer.environ


def test_a_refusal_of_head_has_no_body() -> None:
    answer = Answer(WebSocketWSGIApplication(), good(REQUEST_METHOD="HEAD"))
    assert ("405 Method Not Allowed", b"") == (answer.status, answer.body)


def test_a_server_without_sockets_gets_no_header_that_pep_3333_forbids() -> None:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ["SERVER_PROTOCOL"] = "HTTP/1.1"
    answer = Answer(WebSocketWSGIApplication(), environ)
    assert "426 Upgrade Required" == answer.status
    assert [] == answer.get("Connection") + answer.get("Upgrade")
    assert ["13"] == answer.get("Sec-WebSocket-Version")


def test_a_server_without_sockets_is_told_so() -> None:
    environ = good()
    del environ["ws4py_ng.socket"]
    with pytest.raises(RuntimeError, match=r"no socket into environ\['ws4py_ng.socket'\]"):
        Answer(WebSocketWSGIApplication(), environ)


@pytest.mark.parametrize(("version", "noted"), [("8", b"8"), (None, b"None"), ("x", b"x")])
def test_a_bad_version_is_left_in_the_environ(version: str | None, noted: bytes) -> None:
    answer = Answer(WebSocketWSGIApplication(), good(HTTP_SEC_WEBSOCKET_VERSION=version))
    assert noted == answer.environ["websocket.version"]


def test_a_good_version_is_not() -> None:
    answer = Answer(WebSocketWSGIApplication(), good(HTTP_HOST=None))
    assert "websocket.version" not in answer.environ


def test_55_one_subprotocol_is_agreed_on_by_our_preference() -> None:
    app = WebSocketWSGIApplication(["wamp", "mqtt", "stomp"])
    answer = Answer(app, good(HTTP_SEC_WEBSOCKET_PROTOCOL="soap, stomp, mqtt"))
    assert ["mqtt"] == answer.get("Sec-WebSocket-Protocol")
    assert ["mqtt"] == answer.environ["ws4py_ng.websocket"].protocols
    answer = Answer(app, good(HTTP_SEC_WEBSOCKET_PROTOCOL="soap"))
    assert [] == answer.get("Sec-WebSocket-Protocol")


def test_deflate_is_agreed_on_unless_it_is_switched_off() -> None:
    offer = good(HTTP_SEC_WEBSOCKET_EXTENSIONS="permessage-deflate; client_max_window_bits, x-other")
    answer = Answer(WebSocketWSGIApplication(extensions=["x-other"]), offer)
    (agreed,) = answer.get("Sec-WebSocket-Extensions")
    assert agreed.startswith("permessage-deflate")
    assert "x-other" not in agreed
    ws = answer.environ["ws4py_ng.websocket"]
    assert ["permessage-deflate"] == ws.extensions
    assert ws._stream._extension is not None
    for app in (
        WebSocketWSGIApplication(deflate=False),
        WebSocketWSGIApplication(extensions=[b"permessage-deflate"], deflate=False),
    ):
        assert [] == Answer(app, dict(offer)).get("Sec-WebSocket-Extensions")
    mine = PerMessageDeflateFactory()
    for app in (
        WebSocketWSGIApplication(deflate=mine),
        WebSocketWSGIApplication(extensions=[mine], deflate=False),
    ):
        assert 1 == len(Answer(app, dict(offer)).get("Sec-WebSocket-Extensions"))


def test_limits_and_origins_are_the_applications() -> None:
    limits = Limits(max_message_size=1000)
    app = WebSocketWSGIApplication(limits=limits, origins=["https://friend.example"])
    answer = Answer(app, good(HTTP_ORIGIN="https://friend.example"))
    assert "101 Switching Protocols" == answer.status
    assert limits is answer.environ["ws4py_ng.websocket"]._limits
    with pytest.raises(ValueError, match="protocols"):
        WebSocketWSGIApplication("chat")


def test_the_attributes_are_those_of_ws4py() -> None:
    app = WebSocketWSGIApplication(["chat"], ["x"], EchoWebSocket)
    assert (["chat"], ["x"], EchoWebSocket) == (app.protocols, app.extensions, app.handler_cls)


def test_make_websocket_may_be_overridden_and_make_anything() -> None:
    class Mine(WebSocketWSGIApplication):
        def make_websocket(self, sock: Any, protocols: Any, extensions: Any, environ: Any) -> Any:
            made = super().make_websocket(sock, protocols, extensions, environ)
            calls.append((sock, protocols, extensions, made))
            return made

    calls: list[Any] = []
    handler = MagicMock(spec=["opened"])
    environ = good(HTTP_SEC_WEBSOCKET_PROTOCOL="chat")
    Answer(Mine(["chat"], handler_cls=handler), environ)
    assert [(environ["ws4py_ng.socket"], ["chat"], [], environ["ws4py.websocket"])] == calls


def test_a_constructor_that_fails_has_answered_nothing() -> None:
    def broken(*args: object) -> WebSocket:
        raise KeyError("room")

    start_response = MagicMock()
    with pytest.raises(KeyError):
        WebSocketWSGIApplication(handler_cls=broken)(good(), start_response)
    start_response.assert_not_called()


# What a request is made of

TARGETS = {
    "from its parts": ({}, "/chat?room=1"),
    "below a mount": ({"SCRIPT_NAME": "/app"}, "/chat?room=1"),
    "below a mount, as it was sent": (
        {"SCRIPT_NAME": "/\xc3\xa9", "PATH_INFO": "/a/b", "RAW_URI": "/%C3%A9/a%2Fb?x"},
        "/a%2Fb?x",
    ),
    "the whole URL below a mount": (
        {"SCRIPT_NAME": "/app", "REQUEST_URI": "http://example.com/app/chat"},
        "http://example.com/chat",
    ),
    "the mount itself": ({"SCRIPT_NAME": "/app", "PATH_INFO": "", "RAW_URI": "/app"}, "/"),
    "below a mount that is not in what was sent": ({"SCRIPT_NAME": "/app", "RAW_URI": "/other"}, "/chat"),
    "as gunicorn has it": ({"RAW_URI": "/a%2Fb?x"}, "/a%2Fb?x"),
    "as uWSGI has it": ({"REQUEST_URI": "/a%2Fb?x"}, "/a%2Fb?x"),
    "empty": ({"PATH_INFO": "", "QUERY_STRING": ""}, "/"),
    "outside of ASCII": ({"PATH_INFO": "/\xc3\xa9 a%", "QUERY_STRING": ""}, "/%C3%A9%20a%25"),
}


@pytest.mark.parametrize(("changes", "target"), TARGETS.values(), ids=list(TARGETS))
def test_the_target_is(changes: dict[str, str], target: str) -> None:
    assert target == request_from_environ(good(**changes)).target


def test_a_request_has_all_that_the_environ_tells() -> None:
    changes = {"CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "", "HTTP_X_REAL_IP": "::1", "HTTP_OBJECT": 1}
    request = request_from_environ(good(**changes))
    assert ("GET", "HTTP/1.1") == (request.method, request.version)
    assert "::1" == request.headers.get("X-Real-IP")
    assert "text/plain" == request.headers.get("Content-Type")
    assert request.headers.get("Content-Length") is None
    assert request.headers.get("Object") is None
    assert KEY == request.headers.get("Sec-WebSocket-Key")
