"""Who may connect, by the Origin that browsers send (RFC 6454, RFC 6455 10.2).

A browser sends a site's cookies along with a WebSocket that any other site opens; only the
Origin tells the two apart. It compares text and knows no request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

__all__ = ["ANY_ORIGIN", "OriginRule", "check_origins", "is_allowed", "is_host"]

OriginRule: TypeAlias = str | re.Pattern[str]

ANY_ORIGIN: Final = "*"
# A sandboxed page, a file, a redirect across sites: RFC 6454 6.1 serializes them all so.
_OPAQUE: Final = "null"

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{0,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]*)(?::([0-9]{1,5}))?", re.IGNORECASE)


def is_host(host: str) -> bool:
    """Tell whether this can be the value of Host (RFC 9112 3.2)."""
    return _HOST.fullmatch(host) is not None


def check_origins(origins: Sequence[OriginRule]) -> None:
    """Raise ValueError for a rule that could never match."""
    if isinstance(origins, str):
        raise ValueError(f"origins is {origins!r}, expected a list such as ['https://example.com']")
    for rule in origins:
        if isinstance(rule, str) and rule not in (ANY_ORIGIN, _OPAQUE) and not _ORIGIN.fullmatch(rule):
            raise ValueError(f"origin {rule!r}, expected scheme://host[:port] without a path, '*' or 'null'")


def is_allowed(origin: str | None, host: str, origins: Sequence[OriginRule] = ()) -> bool:
    """Tell whether a request for ``host`` with this Origin may become a WebSocket.

    It may without an Origin (that is no browser), with that of the same host and port, and
    with what the list lets in besides: scheme://host[:port], patterns for the whole Origin,
    "*" for everybody.
    """
    if origin is None or ANY_ORIGIN in origins or _is_same_host(origin, host):
        return True
    wanted = _normalized(origin)
    return any(
        rule.fullmatch(origin) is not None if isinstance(rule, re.Pattern) else _normalized(rule) == wanted
        for rule in origins
    )


def _normalized(origin: str) -> tuple[str, str, int | None]:
    """Give scheme, host and port; what is none, such as "null", only equals itself."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return "", origin, None
    scheme, host, port = match[1].lower(), match[2].lower(), match[3]
    return scheme, host, int(port) if port else _DEFAULT_PORTS.get(scheme)


def _is_same_host(origin: str, host: str) -> bool:
    """Compare host and port, not the scheme: behind a proxy that ends TLS it is unknown.

    For that reason a Host without a port has the default port of the Origin's scheme.
    """
    scheme, origin_host, origin_port = _normalized(origin)
    match = _HOST.fullmatch(host)
    if match is None or not scheme:
        return False
    port = int(match[2]) if match[2] else _DEFAULT_PORTS.get(scheme)
    return (origin_host, origin_port) == (match[1].lower(), port)
