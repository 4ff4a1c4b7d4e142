"""The opening handshake (RFC 6455 4), once for all servers and clients, without any I/O."""

from __future__ import annotations

from .agreement import ClientExtension, Params, ServerExtension
from .body import receive_body
from .client import Agreement, ClientHandshake
from .head import Request, Response, receive_request, receive_response
from .headers import Headers, HeaderSource
from .keys import accept_for, new_key
from .origin import OriginRule
from .server import Accepted, ServerPolicy, is_websocket_request, negotiate, negotiate_hosted, refuse

__all__ = [
    "Accepted",
    "Agreement",
    "ClientExtension",
    "ClientHandshake",
    "HeaderSource",
    "Headers",
    "OriginRule",
    "Params",
    "Request",
    "Response",
    "ServerExtension",
    "ServerPolicy",
    "accept_for",
    "is_websocket_request",
    "negotiate",
    "negotiate_hosted",
    "new_key",
    "receive_body",
    "receive_request",
    "receive_response",
    "refuse",
]
