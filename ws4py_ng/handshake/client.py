"""The client's side of the opening handshake: a request, and what its answer may be (RFC 6455 4.1).

Nothing that the caller passes can inject into the request: it is checked when the
`ClientHandshake` is made, before there is a connection. It follows no redirect: a server
could send credentials anywhere with one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..exc import HandshakeError
from ..extensions.header import format_extensions
from ..uri import URI
from .agreement import ClientExtension, confirm_answer
from .head import HTTP_1_1, Request, Response
from .headers import Headers, HeaderSource, checked_tokens, shown
from .keys import WEBSOCKET, WEBSOCKET_VERSION, accept_for, is_key, new_key

if TYPE_CHECKING:
    from ..extensions import Extension

__all__ = ["Agreement", "ClientHandshake"]

USER_AGENT: Final = "ws4py_ng"

_KEY: Final = "Sec-WebSocket-Key"
_PROTOCOL: Final = "Sec-WebSocket-Protocol"
_EXTENSIONS: Final = "Sec-WebSocket-Extensions"
_MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Agreement:
    """Hold what client and server agreed on; ``headers`` are all that the server sent."""

    subprotocol: str | None
    extensions: list[Extension]
    headers: Headers


class ClientHandshake:
    """Make one opening handshake and judge its answer.

    ``headers`` are sent as well, and instead of ours where they have the same name; of a
    name in ``exclude_headers`` nothing is sent. ``origin`` is for programs that act for a web
    page: others need none. ``key`` is for replays: `keys.new_key` makes one from any source.
    ``strict=False`` ignores a subprotocol or extension that was not asked for, where
    RFC 6455 4.1 fails the connection; ws4py's clients have always done so.

    Raises ValueError for what cannot be sent.
    """

    def __init__(
        self,
        uri: URI,
        *,
        protocols: Sequence[str] = (),
        extensions: Sequence[ClientExtension] = (),
        headers: HeaderSource = (),
        exclude_headers: Iterable[str] = (),
        origin: str | None = None,
        key: str | None = None,
        user_agent: str | None = USER_AGENT,
        strict: bool = True,
    ) -> None:
        self.uri = uri
        self.strict = strict
        theirs = Headers(headers)
        # A key among the caller's headers is the one that is sent, so that it is the one to answer.
        self.key = theirs.get(_KEY, new_key() if key is None else key)
        if not is_key(self.key):
            raise ValueError(f"key {self.key!r}, expected 16 bytes in base64 (RFC 6455 4.1)")
        if not uri.resource.startswith("/") or "#" in uri.resource:
            raise ValueError(f"resource {uri.resource!r}, expected /path?query and no fragment (RFC 6455 3)")
        if isinstance(exclude_headers, str):
            raise ValueError(f"exclude_headers is {exclude_headers!r}, expected a list of names")
        excluded = {name.lower() for name in exclude_headers}
        ours: list[tuple[str, str | None]] = [
            ("Host", uri.host_header),
            ("Upgrade", WEBSOCKET),
            ("Connection", "Upgrade"),
            (_KEY, self.key),
            ("Sec-WebSocket-Version", WEBSOCKET_VERSION),
            ("Origin", origin),
            (_PROTOCOL, ", ".join(checked_tokens(protocols, "protocols")) or None),
            (_EXTENSIONS, format_extensions((entry.name, entry.offer()) for entry in extensions) or None),
            ("Authorization", _basic(uri.userinfo)),
            ("User-Agent", user_agent),
        ]
        sent = [(name, value) for name, value in ours if value is not None and name not in theirs]
        sent += theirs.items()
        sent = [(name, value) for name, value in sent if name.lower() not in excluded]
        self._request = Request("GET", uri.resource, Headers(sent))
        # What was offered is what is sent, wherever it came from.
        self._protocols = self._request.headers.tokens(_PROTOCOL)
        self._extensions = tuple(extensions) if _EXTENSIONS in self._request.headers else ()

    def request(self) -> Request:
        """Give the request; the same one each time."""
        return self._request

    def check(self, response: Response) -> Agreement:
        """Judge the answer.

        Raises HandshakeError with the response's status, headers and body in it when the
        connection must fail. It does not close anything.
        """
        fault = _refusal(response)
        if fault is None:
            fault = next(filter(None, (rule(self, response) for rule in _RULES)), None)
        if fault is not None:
            raise _failed(fault, response)
        try:
            extensions = confirm_answer(response.headers.get_all(_EXTENSIONS), self._extensions, strict=self.strict)
        except ValueError as error:
            raise _failed(f"bad {_EXTENSIONS} of the server: {error}", response) from error
        return Agreement(self._agreed_protocol(response), extensions, response.headers)

    def _agreed_protocol(self, response: Response) -> str | None:
        """Find the subprotocol; there may be others only where we are not strict."""
        return next((name for name in response.headers.tokens(_PROTOCOL) if name in self._protocols), None)

    def _version_fault(self, response: Response) -> str | None:
        if response.version == HTTP_1_1:
            return None
        return f"the server answers in {response.version}, expected {HTTP_1_1} (RFC 6455 4.1)"

    def _upgrade_fault(self, response: Response) -> str | None:
        if response.headers.tokens("Upgrade", lower=True) == [WEBSOCKET]:
            return None
        return _unexpected(response, "Upgrade", "'websocket'")

    def _connection_fault(self, response: Response) -> str | None:
        if "upgrade" in response.headers.tokens("Connection", lower=True):
            return None
        return _unexpected(response, "Connection", "'Upgrade'")

    def _accept_fault(self, response: Response) -> str | None:
        name = "Sec-WebSocket-Accept"
        expected = accept_for(self.key)
        if response.headers.get_all(name) == [expected]:
            return None
        return _unexpected(response, name, repr(expected))

    def _protocol_fault(self, response: Response) -> str | None:
        values = response.headers.get_all(_PROTOCOL)
        if not self.strict or not values or (len(values) == 1 and values[0] in self._protocols):
            return None
        expected = f"one of {self._protocols!r}" if self._protocols else "none, as none was asked for"
        return _unexpected(response, _PROTOCOL, expected)


_RULES: Final[tuple[Callable[[ClientHandshake, Response], str | None], ...]] = (
    ClientHandshake._version_fault,
    ClientHandshake._upgrade_fault,
    ClientHandshake._connection_fault,
    ClientHandshake._accept_fault,
    ClientHandshake._protocol_fault,
)


def _basic(userinfo: tuple[str, str] | None) -> str | None:
    """Give the value of Authorization for a URL with user and password (RFC 7617)."""
    if userinfo is None:
        return None
    return "Basic " + base64.b64encode(":".join(userinfo).encode()).decode("ascii")


def _refusal(response: Response) -> str | None:
    """Say that there is no 101, and what to do about it if that can be told."""
    if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
        return None
    hint = ""
    if 300 <= response.status <= 399 and "Location" in response.headers:
        hint = f", redirected to {shown(response.headers.get_all('Location'))}; redirects are not followed"
    return f"server refused the WebSocket: HTTP {response.status_text[:_MAX_SHOWN]}{hint}"


def _failed(msg: str, response: Response) -> HandshakeError:
    return HandshakeError(msg, response.status, response.headers, response.body)


def _unexpected(response: Response, name: str, expected: str) -> str:
    got = shown(response.headers.get_all(name))
    return f"{name} of the server is {got}, expected {expected} (RFC 6455 4.1)"
