"""A subclass in another package that uses one of our private names is a TypeError where it is made."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ws4py_ng
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.endpoint import Endpoint, names
from ws4py_ng.metrics import Meter, metered
from ws4py_ng.shims.simple_websocket import Server
from ws4py_ng.tracing import traced
from ws4py_ng.websocket import EchoWebSocket, WebSocket


def in_the_body() -> object:
    class Chat(WebSocket):
        _state = "joined"

    return Chat


def as_a_method() -> object:
    class Chat(WebSocketClient):
        def _start(self) -> None: ...  # type: ignore[override]

    return Chat


def as_a_property() -> object:
    class Chat(WebSocket):
        @property
        def _limits(self) -> int:  # type: ignore[override]
            return 3

    return Chat


def in_init() -> object:
    class Chat(WebSocket):
        def __init__(self, *args: Any) -> None:
            self._stream = args
            super().__init__(*args)

    return Chat


def in_a_hook() -> object:
    class Chat(EchoWebSocket):
        def opened(this) -> None:
            line, this._outbox = 1, []
            del line

    return Chat


def in_a_function_within() -> object:
    class Chat(WebSocket):
        def opened(self) -> None:
            def later() -> None:
                self._transport = None  # type: ignore[assignment]

            later()

    return Chat


def in_a_setter() -> object:
    class Chat(WebSocket):
        @property
        def name(self) -> str:
            return ""

        @name.setter
        def name(self, value: str) -> None:
            self._tap = value  # type: ignore[assignment]

    return Chat


def of_the_class() -> object:
    class Chat(WebSocket):
        @classmethod
        def prepare(cls) -> None:
            cls._released = False  # type: ignore[misc]

    return Chat


def in_a_mixin() -> object:
    class Counting:
        def count(self) -> None:
            self._crowded = True

    class Chat(Counting, WebSocket): ...

    return Chat


def below_a_class_that_is_good() -> object:
    class Chat(WebSocket): ...

    class Room(Chat):
        _keepalive = None

    return Room


def of_a_neighbour() -> object:
    class Chat(Server):
        def choose_subprotocol(self, request: Any) -> None:
            self._ws = request

    return Chat


COLLIDING: tuple[Callable[[], object], ...] = (
    *(in_the_body, as_a_method, as_a_property, in_init, in_a_hook, in_a_function_within, in_a_setter),
    *(of_the_class, in_a_mixin, below_a_class_that_is_good, of_a_neighbour),
)


@pytest.mark.parametrize("make", COLLIDING)
def test_one_of_our_names_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"uses the name _\w+, which \w+ of ws4py_ng has for something of its own"):
        make()


def test_the_error_says_who_and_which() -> None:
    with pytest.raises(
        TypeError, match=r"in_a_mixin\.<locals>\.Counting uses the name _crowded, which Sender of ws4py_ng"
    ):
        in_a_mixin()


def test_what_is_not_ours_to_refuse_is_not() -> None:
    class Room:
        _state = "open"

    class Chat(WebSocket):
        _mine = 1

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.__state = "of our class alone"
            self._other = Room()

        def opened(self) -> None:
            self._other._state = "of somebody else"
            _crowded = self._limits  # reading breaks nothing
            del _crowded

    assert "of somebody else" != Chat()._other._state
    assert issubclass(type("Chat", (Chat, threading.Thread), {}), WebSocket)


def test_a_class_that_we_make_of_a_users_may_use_them() -> None:
    class Chat(WebSocket): ...

    assert "Chat" == traced(metered(Chat, Meter())).__name__
    assert "Chat" == metered(traced(Chat), Meter()).__name__


def our_classes(cls: type = Endpoint) -> Iterator[type]:
    yield cls
    for each in cls.__subclasses__():
        if names._is_ours(each):
            yield from our_classes(each)


def test_every_private_name_of_ours_is_known_where_a_class_is_made() -> None:
    for package in ("client", "server", "receiving"):
        for module in pkgutil.iter_modules(getattr(ws4py_ng, package).__path__, f"ws4py_ng.{package}."):
            if module.name.rpartition(".")[2] not in ("eventletclient", "eventletserver"):
                importlib.import_module(module.name)
    for cls in set(our_classes()):
        bases = [base for base in cls.__mro__ if names._is_ours(base)]
        known = {name for base in bases for name in names._private_names(base)}
        used = {name for base in bases for method in names._methods(base) for name in names._assigned(method.__code__)}
        assert set() == {name for name in used if name[:1] == "_" and name[:2] != "__"} - known, cls
