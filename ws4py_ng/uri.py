"""A WebSocket URL, taken apart and checked (RFC 6455 3, RFC 3986).

It decides what travels in the request line, in Host and in Authorization, so nothing that
could inject there leaves this module. It resolves no name and opens nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NoReturn
from urllib.parse import quote, unquote

__all__ = ["URI", "parse_uri"]

DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
_SCHEMES: Final = frozenset({"ws", "wss", "ws+unix", "wss+unix"})
# People paste the address of the page; it may not be guessed that they meant a WebSocket.
_HTTP_SPELLING: Final = {"http": "ws", "https": "wss"}

_MAX_HOST = 253  # RFC 1035 2.3.4, without the root's dot
_MAX_PORT = 65535
_MAX_SHOWN = 200

# C0, space, DEL and C1: never sent raw, whatever part of the URL they are in.
_RAW_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f]")
_DECODED_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Underscores are no hostname (RFC 952) but are in use on private networks.
_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_IPV6 = re.compile(r"[0-9a-f:.]+")
_PORT = re.compile(r"[0-9]{1,5}")
# What RFC 3986 3.3 and 3.4 let stand in path and query, "%" of an escape, and the brackets
# that half of the web puts in queries. The rest is percent-encoded.
_RESOURCE_SAFE: Final = "/?:@!$&'()*+,;=-._~%[]"


@dataclass(frozen=True, slots=True)
class URI:
    """Hold the parts of a WebSocket URL; made by `parse_uri`.

    ``port`` is None and ``unix_path`` is set for a Unix domain socket. ``userinfo`` is
    kept out of the repr, for logs.
    """

    scheme: str
    secure: bool
    host: str
    port: int | None
    resource: str = "/"
    unix_path: str | None = None
    userinfo: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def host_header(self) -> str:
        """Give the value of Host: brackets around IPv6, a port unless it is the default.

        >>> parse_uri("ws://[::1]:8080/chat").host_header
        '[::1]:8080'
        >>> parse_uri("wss://example.com:443").host_header
        'example.com'
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.port is None or self.port == DEFAULT_PORTS.get(self.scheme):
            return host
        return f"{host}:{self.port}"


def parse_uri(url: str) -> URI:
    """Take a ws, wss, ws+unix or wss+unix URL apart.

    Raises ValueError, which shows the URL without its password, for what cannot be one.
    A host outside of ASCII goes through the standard library's IDNA 2003.

    >>> parse_uri("ws://example.com/chat?room=1").resource
    '/chat?room=1'
    >>> parse_uri("ws+unix:///run/chat.socket").unix_path
    '/run/chat.socket'
    """
    if _RAW_FORBIDDEN.search(url):
        _refuse(url, "a space or control character, expected it percent-encoded")
    if "#" in url:
        _refuse(url, "a fragment, which a WebSocket URL may not have (RFC 6455 3); write %23 for a plain #")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        _refuse(url, "no scheme, expected ws://host[:port]/path")
    if scheme in _HTTP_SPELLING:
        _refuse(url, f"the scheme of a web page, expected {_HTTP_SPELLING[scheme]}:// in its place")
    if scheme not in _SCHEMES:
        _refuse(url, "an unknown scheme, expected ws, wss, ws+unix or wss+unix")
    secure = scheme.startswith("wss")
    cut = next((i for i, char in enumerate(rest) if char in "/?"), len(rest))
    authority, resource = rest[:cut], rest[cut:]
    if scheme.endswith("+unix"):
        unix_path, resource = _unix(url, authority, resource)
        return URI(scheme, secure, "localhost", None, _resource(url, resource), unix_path)
    credentials, at, location = authority.rpartition("@")
    host, port = _location(url, location)
    return URI(
        scheme,
        secure,
        host,
        port or DEFAULT_PORTS[scheme],
        _resource(url, resource),
        userinfo=_userinfo(url, credentials) if at and credentials else None,
    )


def _unix(url: str, authority: str, path: str) -> tuple[str, str]:
    """Give the socket's path and the resource; the whole path is the socket's, as in ws4py."""
    path, question, query = path.partition("?")
    if authority:
        _refuse(url, "a host, expected three slashes: ws+unix:///path/of/the.socket")
    path = _unquote(url, path)
    if path in ("", "/") or "\0" in path:
        _refuse(url, "no path of a socket, expected ws+unix:///path/of/the.socket")
    return path, "/" + question + query


def _location(url: str, location: str) -> tuple[str, int | None]:
    """Split and check ``host[:port]``."""
    if location.startswith("["):
        literal, bracket, port = location[1:].partition("]")
        host = literal.lower()
        if not bracket or (port and not port.startswith(":")) or not _is_ipv6(host):
            _refuse(url, "a bad IPv6 address, expected one in brackets, such as ws://[::1]:9000/")
        port = port[1:]
    else:
        name, _, port = location.partition(":")
        host = _name(url, name)
    if not port:
        return host, None
    if not _PORT.fullmatch(port) or not 0 < int(port) <= _MAX_PORT:
        _refuse(url, f"a bad port, expected a number from 1 to {_MAX_PORT} (IPv6 addresses need brackets)")
    return host, int(port)


def _is_ipv6(text: str) -> bool:
    if not _IPV6.fullmatch(text):
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _name(url: str, name: str) -> str:
    """Give a host name as it travels: lower-case, A-labels."""
    if not name:
        _refuse(url, "no host, expected ws://host[:port]/path")
    host = name
    if not name.isascii() and len(name) <= _MAX_HOST:
        try:
            host = name.encode("idna").decode("ascii")
        except UnicodeError:
            _refuse(url, "a host that has no IDNA form (RFC 3490); try its xn-- spelling")
    host = host.lower()
    # Checked behind IDNA: its mapping turns some letters into slashes, colons and the like.
    if len(host.rstrip(".")) > _MAX_HOST or not _HOST.fullmatch(host):
        _refuse(url, "a bad host, expected letters, digits, '-', '_' and '.', or an IPv6 address in brackets")
    return host


def _resource(url: str, resource: str) -> str:
    """Give the request target: path and query, ASCII only."""
    if not resource.startswith("/"):
        resource = "/" + resource
    try:
        return quote(resource, safe=_RESOURCE_SAFE)
    except UnicodeEncodeError:
        _refuse(url, "a lone surrogate, expected text that has a UTF-8 form")


def _userinfo(url: str, credentials: str) -> tuple[str, str]:
    """Decode ``user:password`` for Basic authentication (RFC 7617 2)."""
    if "@" in credentials:
        _refuse(url, "more than one @ before the host, expected %40 in a user or password")
    user, _, password = credentials.partition(":")
    user, password = _unquote(url, user), _unquote(url, password)
    if ":" in user or _DECODED_FORBIDDEN.search(user + password):
        _refuse(url, "a colon in the user or a control character in the credentials (RFC 7617 2)")
    return user, password


def _unquote(url: str, text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
        decoded.encode()
    except UnicodeError:
        _refuse(url, "percent-encoded bytes that are no UTF-8")
    return decoded


def _refuse(url: str, fault: str) -> NoReturn:
    """Raise; without a cause, which would hold the URL as it was."""
    raise ValueError(f"{_masked(url)!r} has {fault}") from None


def _masked(url: str) -> str:
    """Hide what could be a password.

    A malformed URL does not say where its password ends, so that everything up to the
    last @ counts: better too much than a secret in a log.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    user, colon, tail = rest.partition(":")
    if colon and "@" in tail:
        rest = f"{user}:***@{tail.rpartition('@')[2]}"
    shown = scheme + separator + rest
    return shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "..."
