"""What this package raises: names, kinds, and what they carry."""

from __future__ import annotations

import pickle

import pytest

from ws4py_ng import exc

WS4PY = (
    *("WebSocketException", "ProtocolException", "FrameTooLargeException", "UnsupportedFrameTypeException"),
    *("TextFrameEncodingException", "InvalidBytesError", "StreamClosed", "HandshakeError"),
)


@pytest.mark.parametrize("name", [name for name in exc.__all__ if name != "StreamClosed"])
def test_all_have_one_base(name: str) -> None:
    assert issubclass(getattr(exc, name), exc.WebSocketException)


@pytest.mark.parametrize("name", WS4PY)
def test_the_names_of_ws4py_are_there(name: str) -> None:
    assert issubclass(getattr(exc, name), Exception)
    assert name in exc.__all__


def test_a_protocol_error_carries_the_code_that_answers_it() -> None:
    error = exc.ProtocolError(1009, "too long")
    assert (1009, "too long", "1009: too long") == (error.code, error.reason, str(error))
    assert isinstance(error, exc.ProtocolException)
    assert isinstance(exc.InvalidCloseError(1002, "x"), exc.ProtocolError)


def test_a_send_too_late_is_what_ws4py_raised() -> None:
    assert issubclass(exc.ConnectionClosed, RuntimeError)
    assert not issubclass(exc.ConnectionClosed, OSError)


def test_a_handshake_error_carries_the_answer() -> None:
    error = exc.HandshakeError("refused", 403, [("Server", "x")], b"no")
    assert ("refused", 403, [("Server", "x")], b"no") == (error.msg, error.status, error.headers, error.body)
    assert "refused" == str(error)
    bare = exc.HandshakeError("nobody is there")
    assert (None, [], b"") == (bare.status, bare.headers, bare.body)


def test_a_handshake_error_of_wrong_types_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="status is '403', expected an int or None"):
        exc.HandshakeError("refused", "403")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="body is str, expected bytes"):
        exc.HandshakeError("refused", 403, body="no")  # type: ignore[arg-type]


def test_an_error_survives_a_trip_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(exc.ConnectionClosed("gone")))
    assert ("gone", exc.ConnectionClosed) == (str(error), type(error))
    protocol = pickle.loads(pickle.dumps(exc.ProtocolError(1002, "why")))
    assert (1002, "why") == (protocol.code, protocol.reason)
    handshake = pickle.loads(pickle.dumps(exc.HandshakeError("refused", 403, [("a", "b")], b"no")))
    assert ("refused", 403, [("a", "b")], b"no") == (handshake.msg, handshake.status, handshake.headers, handshake.body)
