"""WAMP, version 1: remote procedures and topics, as JSON arrays."""

from __future__ import annotations

import inspect
import json
import secrets
import string
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..exceptions import WebSocketError
from ..utils import get_version
from .base import BaseProtocol

__all__ = ["Channels", "Prefixes", "RemoteProcedures", "WampProtocol", "export_rpc", "serialize"]

LETTERS = string.ascii_letters + string.digits
ERROR_URI = "http://api.wamp.ws/error#generic"


def export_rpc(arg: Any = None) -> Any:
    """Mark a method that `RemoteProcedures.register_object` is to register."""
    if inspect.isfunction(arg):
        arg._rpc = arg.__name__  # type: ignore[attr-defined]
    return arg


def serialize(data: object) -> str:
    """Make JSON of a message."""
    return json.dumps(data)


class Prefixes:
    """Shorten URIs, as a client has asked."""

    def __init__(self) -> None:
        self.prefixes: dict[str, str] = {}

    def add(self, prefix: str, uri: str) -> None:
        """Let a prefix stand for a URI."""
        self.prefixes[prefix] = uri

    def resolve(self, curie_or_uri: str) -> str:
        """Return the whole URI. Raises ValueError for a prefix that was not added."""
        prefix, colon, rest = curie_or_uri.partition(":")
        if rest.startswith("//"):
            return curie_or_uri
        if not colon or prefix not in self.prefixes:
            raise ValueError(f"{curie_or_uri!r} is no URI, and its prefix is not known")
        return self.prefixes[prefix] + rest


class RemoteProcedures:
    """Hold what clients may call, by URI."""

    def __init__(self) -> None:
        self.calls: dict[str, Callable[..., Any]] = {}

    def register_procedure(self, uri: str, proc: Callable[..., Any]) -> None:
        """Let a function be called."""
        self.calls[uri] = proc

    def register_object(self, uri: str, obj: object) -> None:
        """Let the methods be called that have `export_rpc`, by ``uri`` and their names."""
        for _, method in inspect.getmembers(obj, callable):
            name = getattr(method, "_rpc", None)
            if name is not None:
                self.calls[uri + name] = method

    def call(self, uri: str, args: list[Any]) -> Any:
        """Call. Raises LookupError for a URI that has no function."""
        if uri not in self.calls:
            raise LookupError(f"no such uri {uri!r}")
        return self.calls[uri](*args)


class Channels:
    """Hold who has subscribed to which topic."""

    def __init__(self) -> None:
        self.channels: dict[str, list[Any]] = {}

    def create(self, uri: str, prefix_matching: bool = False) -> None:
        """Let a topic be subscribed to; ``prefix_matching`` that begins with this, as well."""
        self.channels.setdefault(uri, [])
        if prefix_matching:
            self._prefixes = {*getattr(self, "_prefixes", ()), uri}

    def subscribe(self, uri: str, client: Any) -> None:
        """Add a client to a topic, if there is one."""
        if uri not in self.channels and any(uri.startswith(each) for each in getattr(self, "_prefixes", ())):
            self.channels[uri] = []
        if uri in self.channels and client not in self.channels[uri]:
            self.channels[uri].append(client)

    def unsubscribe(self, uri: str, client: Any) -> None:
        """Remove a client from a topic, if it is there."""
        if client in self.channels.get(uri, ()):
            self.channels[uri].remove(client)

    def forget(self, client: Any) -> None:
        """Remove a client from all topics."""
        for uri in self.channels:
            self.unsubscribe(uri, client)

    def publish(self, uri: str, event: Any, exclude: Any = None, eligible: Any = None) -> None:
        """Send an event to whoever has subscribed, by the clients' `session_id`: not to those in
        ``exclude``, and only to those in ``eligible`` if that is given."""
        text = serialize([WampProtocol.MSG_EVENT, uri, event])
        for client in list(self.channels.get(uri, ())):
            session = getattr(getattr(client.ws.current_app, "protocol", None), "session_id", None)
            if session in (exclude or ()) or (eligible is not None and session not in eligible):
                continue
            try:
                client.ws.send(text)
            except WebSocketError:
                self.unsubscribe(uri, client)


class WampProtocol(BaseProtocol):
    """Speak WAMP 1 for an application; what a call returns goes through the application's `on_message`."""

    MSG_WELCOME = 0
    MSG_PREFIX = 1
    MSG_CALL = 2
    MSG_CALL_RESULT = 3
    MSG_CALL_ERROR = 4
    MSG_SUBSCRIBE = 5
    MSG_UNSUBSCRIBE = 6
    MSG_PUBLISH = 7
    MSG_EVENT = 8

    PROTOCOL_NAME = "wamp"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.procedures = RemoteProcedures()
        self.prefixes = Prefixes()
        self.session_id = "".join(secrets.choice(LETTERS) for _ in range(16))

    def register_procedure(self, uri: str, proc: Callable[..., Any]) -> None:
        """Let this client call a function."""
        self.procedures.register_procedure(uri, proc)

    def register_object(self, uri: str, obj: object) -> None:
        """Let this client call the methods that have `export_rpc`."""
        self.procedures.register_object(uri, obj)

    def register_pubsub(self, uri: str, prefix_matching: bool = False) -> None:
        """Let clients subscribe to a topic and publish to it."""
        self._channels().create(uri, prefix_matching)

    def _channels(self) -> Channels:
        if not hasattr(self.server, "channels"):
            self.server.channels = Channels()
        channels: Channels = self.server.channels
        return channels

    def on_open(self) -> None:
        """Let the application begin, and welcome the client."""
        self.app.on_open()
        self.app.ws.send(serialize([self.MSG_WELCOME, self.session_id, 1, f"gevent-websocket/{get_version()}"]))

    def on_close(self, reason: str | None = None) -> None:
        """Forget the client, and tell the application."""
        self._channels().forget(self.handler.active_client)
        super().on_close(reason)

    def on_message(self, message: Any) -> None:
        """Do what a message says; what is no WAMP closes the connection with 1002."""
        if message is None:
            return
        try:
            data = json.loads(message)
            if not isinstance(data, list) or not data:
                raise ValueError("expected a JSON array that is not empty")
            self._act(data)
        except (ValueError, TypeError) as error:
            self.app.ws.close(1002, f"No WAMP: {error}".encode()[:120].decode("utf-8", "ignore"))

    def _act(self, data: list[Any]) -> None:
        kind, count = data[0], len(data)
        if kind == self.MSG_PREFIX and count == 3:
            self.prefixes.add(data[1], data[2])
        elif kind == self.MSG_CALL and count >= 3:
            self._call(data)
        elif kind == self.MSG_SUBSCRIBE and count == 2:
            self._channels().subscribe(self.prefixes.resolve(data[1]), self.handler.active_client)
        elif kind == self.MSG_UNSUBSCRIBE and count == 2:
            self._channels().unsubscribe(self.prefixes.resolve(data[1]), self.handler.active_client)
        elif kind == self.MSG_PUBLISH and 3 <= count <= 5:
            exclude = data[3] if count > 3 else None
            excluded = [self.session_id] if exclude is True else exclude or None
            self._channels().publish(self.prefixes.resolve(data[1]), data[2], excluded, data[4] if count > 4 else None)
        else:
            raise ValueError(f"expected a message of type 1, 2, 5, 6 or 7 and its parts, got {data[:2]!r}")

    def _call(self, data: list[Any]) -> None:
        call_id, name = data[1:3]
        if not (isinstance(call_id, str) and isinstance(name, str)):
            raise ValueError("expected a call's id and URI to be text")
        try:
            answer = serialize(
                [self.MSG_CALL_RESULT, call_id, self.procedures.call(self.prefixes.resolve(name), data[3:])]
            )
        except Exception as error:  # noqa: BLE001 - the application's, which the client is told
            answer = serialize([self.MSG_CALL_ERROR, call_id, ERROR_URI, type(error).__name__, str(error)])
        with suppress(WebSocketError):
            self.app.on_message(answer)
