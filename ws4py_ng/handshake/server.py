"""The server's side of the opening handshake as a pure function (RFC 6455 4.2).

`negotiate` takes a request and a policy and gives the 101, or raises the refusal. The rules
are a table; they are tried in its order and the first that fails names the status. Hosts
that have parsed the request themselves (WSGI, ASGI, tornado ...) build a `Request` from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ..exc import HandshakeError
from ..extensions.header import format_extensions
from .agreement import ServerExtension, accept_offers
from .head import HTTP_1_1, SWITCHING_PROTOCOLS, Request, Response
from .headers import Headers, HeaderSource, checked_tokens, is_field_value, is_token, shown
from .keys import WEBSOCKET, WEBSOCKET_VERSION, accept_for, is_key
from .origin import OriginRule, check_origins, is_allowed, is_host

if TYPE_CHECKING:
    from ..extensions import Extension

__all__ = ["Accepted", "ServerPolicy", "is_websocket_request", "negotiate", "negotiate_hosted", "refuse"]

# RFC 9110 15.5.22 wants Upgrade in a 426, RFC 6455 4.4 the version.
_UPGRADE_REQUIRED_HEADERS: Final = (("Upgrade", WEBSOCKET), ("Sec-WebSocket-Version", WEBSOCKET_VERSION))
# What the handshake itself decides; an application's value would contradict it.
_OURS: Final = frozenset(
    {
        "upgrade",
        "connection",
        "content-length",
        "transfer-encoding",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "sec-websocket-version",
    }
)
# What `refuse` sets itself.
_CONNECTION_HEADERS: Final = frozenset({"connection", "content-length", "transfer-encoding"})
_ABSOLUTE_TARGET = re.compile(r"(?:https?|wss?)://([^/?]*)(?:[/?].*)?", re.IGNORECASE)
# Whatever could end the one line of a refusal's body.
_LINE_END = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPolicy:
    """Say what a server agrees to. Raises ValueError for what could never be sent.

    ``protocols``: subprotocols in our order of preference. The first that the client offers
    is chosen: RFC 6455 4.2.2 leaves the choice to the server, which knows which of them it
    would rather speak. ``select_subprotocol`` chooses instead, from the client's offer in
    its order; what it returns must be in there, or None.

    ``origins``: web sites that may connect beside the server's own, which may, as may
    whoever sends no Origin, as programs do: "scheme://host[:port]", patterns that match a
    whole Origin; "*" opens to every web site.

    ``headers`` and ``server`` go into the 101.
    """

    protocols: Sequence[str] = ()
    select_subprotocol: Callable[[Sequence[str]], str | None] | None = None
    origins: Sequence[OriginRule] = ()
    extensions: Sequence[ServerExtension] = ()
    headers: HeaderSource = ()
    server: str | None = None

    def __post_init__(self) -> None:
        checked_tokens(self.protocols, "protocols")
        check_origins(self.origins)
        # Kept as Headers, so that a generator of pairs serves more than one connection.
        headers = Headers(self.headers)
        object.__setattr__(self, "headers", headers)
        for name, _ in headers:
            if name.lower() in _OURS:
                raise ValueError(f"header {name} in a ServerPolicy, which the handshake sets itself")
        if self.server is not None and not is_field_value(self.server):
            raise ValueError("server has a control character or one that is not latin-1")


@dataclass(frozen=True, slots=True)
class Accepted:
    """Hold a handshake that succeeded: what to answer and what was agreed."""

    response: Response
    subprotocol: str | None
    extensions: list[Extension]


DEFAULT_POLICY: Final = ServerPolicy()


def is_websocket_request(request: Request) -> bool:
    """Tell whether a request asks for a WebSocket, well or badly; for hosts that serve both."""
    return WEBSOCKET in request.headers.tokens("Upgrade", lower=True)


def negotiate(request: Request, policy: ServerPolicy = DEFAULT_POLICY) -> Accepted:
    """Answer an opening handshake.

    Raises HandshakeError with the status and headers of the refusal; `refuse` makes the
    response of it. Raises ValueError when ``select_subprotocol`` chose what was not offered.
    """
    for rule in _RULES:
        rule(request, policy)
    subprotocol = _choose_subprotocol(_offered_protocols(request), policy)
    try:
        offers = request.headers.values("sec-websocket-extensions")
        answer, extensions = accept_offers(offers, policy.extensions) if offers else ([], [])
    except ValueError as error:
        raise _bad_request(f"bad Sec-WebSocket-Extensions: {error}") from error
    pairs = [
        ("Upgrade", WEBSOCKET),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_for(request.headers.values("sec-websocket-key")[0])),
    ]
    if subprotocol is not None:
        pairs.append(("Sec-WebSocket-Protocol", subprotocol))
    if answer:
        pairs.append(("Sec-WebSocket-Extensions", format_extensions(answer)))
    if policy.server is not None:
        pairs.append(("Server", policy.server.strip(" \t")))
    more: Any = policy.headers  # Headers, which were checked when the policy was made, as was all else
    pairs += more
    response = Response(SWITCHING_PROTOCOLS, Headers.checked(pairs))
    return Accepted(response, subprotocol, extensions)


def negotiate_hosted(request: Request, policy: ServerPolicy = DEFAULT_POLICY) -> str | None:
    """Check and choose what is left to an application whose host shakes hands itself (ASGI).

    Returns the subprotocol. Raises HandshakeError for a foreign Origin and for subprotocols
    that are no tokens.
    """
    _check_origin(request, policy)
    _check_protocols(request, policy)
    return _choose_subprotocol(_offered_protocols(request), policy)


def refuse(error: HandshakeError) -> Response:
    """Make the response for a handshake that failed; the connection ends behind it.

    A status of None counts as 400. An application that refuses by itself raises a
    HandshakeError of its own, with headers and, if it likes, a body: they are kept.
    """
    status = HTTPStatus.BAD_REQUEST.value if error.status is None else error.status
    if not 300 <= status <= 599:
        raise ValueError(f"status {status} for a refusal, expected 300 to 599")
    body = error.body or f"{_LINE_END.sub(' ', error.msg)}\n".encode("utf-8", "replace")
    given = Headers(error.headers)
    headers = Headers(pair for pair in given if pair[0].lower() not in _CONNECTION_HEADERS)
    # RFC 9110 7.8: who sends Upgrade names it in Connection.
    headers.add("Connection", "close, Upgrade" if "Upgrade" in given else "close")
    if "Content-Type" not in given:
        headers.add("Content-Type", "text/plain; charset=utf-8")
    headers.add("Content-Length", str(len(body)))
    return Response(status, headers, body=body)


def _bad_request(msg: str) -> HandshakeError:
    return HandshakeError(msg, HTTPStatus.BAD_REQUEST.value)


def _upgrade_required(msg: str) -> HandshakeError:
    return HandshakeError(msg, HTTPStatus.UPGRADE_REQUIRED.value, _UPGRADE_REQUIRED_HEADERS)


def _check_version(request: Request, policy: ServerPolicy) -> None:
    if request.version != HTTP_1_1:
        raise HandshakeError(
            f"the request is {request.version}, expected {HTTP_1_1} (RFC 6455 4.1)",
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED.value,
        )


def _check_method(request: Request, policy: ServerPolicy) -> None:
    if request.method != "GET":
        raise HandshakeError(
            f"method {shown([request.method])}, expected GET (RFC 6455 4.1)",
            HTTPStatus.METHOD_NOT_ALLOWED.value,
            [("Allow", "GET")],
        )


def _check_host(request: Request, policy: ServerPolicy) -> None:
    hosts = request.headers.values("host")
    if len(hosts) != 1 or not is_host(hosts[0]):
        raise _bad_request(f"Host is {shown(hosts)}, expected one host[:port] (RFC 9112 3.2)")


def _check_target(request: Request, policy: ServerPolicy) -> None:
    """Refuse what is no path, and an absolute target that contradicts Host.

    RFC 9112 3.2.2 lets the target win; what then checks Host would check the wrong name.
    """
    target = request.target
    if "#" in target:
        raise _bad_request(f"target {shown([target])} has a fragment (RFC 9112 3.2)")
    if target.startswith("/"):
        return
    match = _ABSOLUTE_TARGET.fullmatch(target)
    if match is None or match[1].lower() != request.headers.get("Host", "").lower():
        raise _bad_request(f"target {shown([target])}, expected a path such as /chat, or the URL of the Host")


def _check_upgrade(request: Request, policy: ServerPolicy) -> None:
    if not is_websocket_request(request):
        got = shown(request.headers.values("upgrade"))
        raise _upgrade_required(f"Upgrade is {got}, expected 'websocket': open this with ws:// or wss://")


def _check_connection(request: Request, policy: ServerPolicy) -> None:
    if "upgrade" not in request.headers.tokens("Connection", lower=True):
        got = shown(request.headers.values("connection"))
        raise _bad_request(f"Connection is {got}, expected 'Upgrade' (RFC 6455 4.2.1); does a proxy drop it?")


def _check_websocket_version(request: Request, policy: ServerPolicy) -> None:
    versions = request.headers.values("sec-websocket-version")
    if len(versions) != 1 or versions[0] != WEBSOCKET_VERSION:
        raise _upgrade_required(f"Sec-WebSocket-Version is {shown(versions)}, expected '{WEBSOCKET_VERSION}'")


def _check_key(request: Request, policy: ServerPolicy) -> None:
    keys = request.headers.values("sec-websocket-key")
    if len(keys) != 1 or not is_key(keys[0]):
        raise _bad_request(f"Sec-WebSocket-Key is {shown(keys)}, expected one of 16 bytes in base64 (RFC 6455 4.1)")


def _check_no_body(request: Request, policy: ServerPolicy) -> None:
    """Refuse a body: what one peer takes for a body is frames to another (request smuggling)."""
    if request.headers.values("transfer-encoding"):
        raise _bad_request("a Transfer-Encoding, expected a request without a body")
    lengths = request.headers.values("content-length")
    if lengths and (len(lengths) > 1 or lengths[0] != "0"):
        raise _bad_request(f"Content-Length is {shown(lengths)}, expected a request without a body")


def _check_no_expectation(request: Request, policy: ServerPolicy) -> None:
    expected = request.headers.values("expect")
    if expected:
        raise HandshakeError(
            f"Expect is {shown(expected)}, expected none without a body (RFC 9110 10.1.1)",
            HTTPStatus.EXPECTATION_FAILED.value,
        )


def _check_origin(request: Request, policy: ServerPolicy) -> None:
    origins = request.headers.values("origin")
    if not origins:
        return  # no browser: nobody's site
    if len(origins) > 1:
        raise _bad_request(f"Origin is {shown(origins)}, expected one at most (RFC 6454 7.3)")
    host = request.headers.get("Host", "")
    if not is_allowed(origins[0], host, policy.origins):
        raise HandshakeError(
            f"Origin is {shown(origins)}, expected that of {shown([host])} or one in the server's 'origins'",
            HTTPStatus.FORBIDDEN.value,
        )


def _check_protocols(request: Request, policy: ServerPolicy) -> None:
    offered = _offered_protocols(request)
    if not offered:
        return
    if not all(map(is_token, offered)) or len(set(offered)) < len(offered):
        got = shown(offered)
        raise _bad_request(f"Sec-WebSocket-Protocol is {got}, expected tokens, each once (RFC 6455 4.1)")


_RULES: Final[tuple[Callable[[Request, ServerPolicy], None], ...]] = (
    _check_version,
    _check_method,
    _check_host,
    _check_target,
    _check_upgrade,
    _check_connection,
    _check_websocket_version,
    _check_key,
    _check_no_body,
    _check_no_expectation,
    _check_origin,
    _check_protocols,
)


def _offered_protocols(request: Request) -> list[str]:
    return request.headers.tokens("Sec-WebSocket-Protocol") if request.headers.values("sec-websocket-protocol") else []


def _choose_subprotocol(offered: list[str], policy: ServerPolicy) -> str | None:
    """Choose one of the client's offers, case included (RFC 6455 4.2.2)."""
    if policy.select_subprotocol is None:
        return next((protocol for protocol in policy.protocols if protocol in offered), None)
    chosen = policy.select_subprotocol(tuple(offered))
    if chosen is not None and chosen not in offered:
        raise ValueError(f"select_subprotocol chose {chosen!r}, expected None or one of {offered!r}")
    return chosen
