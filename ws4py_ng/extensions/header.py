"""The grammar of Sec-WebSocket-Extensions (RFC 6455 9.1), both ways.

    extension-list  = extension *( "," extension )
    extension       = token *( ";" param )
    param           = token [ "=" ( token | quoted-string ) ]

Between any two of these there may be blanks (RFC 2616 2.1, implied LWS). A quoted value must
be a token once unquoted. Empty elements are refused: no peer has a reason to send them.
It knows no extension by name, and what parameters mean is not its business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["MAX_ITEMS", "format_extension", "format_extensions", "parse_extensions"]

MAX_ITEMS: Final = 128
"""Extensions and parameters in one request. A browser sends two; a head of 16 KiB could hold
8,000, and each costs its reader a decision. More: ValueError."""

# Possessive (``++``): one pass over the text, whatever is in it.
_BLANK = r"[ \t]*+"
_TOKEN_CHARS = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TOKEN = re.compile(_TOKEN_CHARS)
_NAME = re.compile(rf"{_BLANK}({_TOKEN_CHARS}){_BLANK}")
_QUOTED = re.compile(rf'{_BLANK}"((?:[^"\\]|\\.)*+)"{_BLANK}')
_OPEN_QUOTE = re.compile(rf'{_BLANK}"')
_QUOTED_PAIR = re.compile(r"\\(.)")

_EXCERPT = 20


def parse_extensions(values: Iterable[str]) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Read every Sec-WebSocket-Extensions line of a head, in order, as one list.

    Several lines are the same as one line joined by commas (RFC 6455 9.1). Raises ValueError
    that says what was expected, where, and what was there.

    >>> parse_extensions(['permessage-deflate; client_max_window_bits="12"; x', "foo"])
    [('permessage-deflate', [('client_max_window_bits', '12'), ('x', None)]), ('foo', [])]
    """
    extensions: list[tuple[str, list[tuple[str, str | None]]]] = []
    items = 0
    for text in values:
        at = -1  # the first extension follows a comma that is not there
        while at < len(text):
            name, at = _read_name(text, at + 1, "the name of an extension")
            params: list[tuple[str, str | None]] = []
            extensions.append((name, params))
            while text.startswith(";", at):
                key, at = _read_name(text, at + 1, "the name of a parameter")
                value = None
                if text.startswith("=", at):
                    value, at = _read_value(text, at + 1)
                params.append((key, value))
            items += 1 + len(params)
            if items > MAX_ITEMS:
                raise ValueError(f"expected at most {MAX_ITEMS} extensions and parameters, got more")
            if at < len(text) and text[at] != ",":
                raise _error("',' or ';'", text, at)
    return extensions


def format_extension(name: str, params: Sequence[tuple[str, str | None]]) -> str:
    """Write one extension with its parameters. Raises ValueError for what is not a token.

    >>> format_extension("permessage-deflate", [("server_max_window_bits", "12"), ("x", None)])
    'permessage-deflate; server_max_window_bits=12; x'
    """
    parts = [_checked(name)]
    for key, value in params:
        parts.append(_checked(key) if value is None else f"{_checked(key)}={_checked(value)}")
    return "; ".join(parts)


def format_extensions(extensions: Iterable[tuple[str, Sequence[tuple[str, str | None]]]]) -> str:
    """Write the value of one Sec-WebSocket-Extensions line.

    >>> format_extensions([("foo", [("x", None)]), ("bar", [])])
    'foo; x, bar'
    """
    return ", ".join(format_extension(name, params) for name, params in extensions)


def _read_name(text: str, at: int, expected: str) -> tuple[str, int]:
    match = _NAME.match(text, at)
    if match is None:
        raise _error(expected, text, at)
    return match[1], match.end()


def _read_value(text: str, at: int) -> tuple[str, int]:
    if _OPEN_QUOTE.match(text, at) is None:
        return _read_name(text, at, "the value of a parameter")
    match = _QUOTED.match(text, at)
    if match is None:
        raise _error("a closing quote", text, at)
    value = _QUOTED_PAIR.sub(r"\1", match[1])
    if _TOKEN.fullmatch(value) is None:
        raise _error("a token in quotes", text, at)
    return value, match.end()


def _checked(token: str) -> str:
    if _TOKEN.fullmatch(token) is None:
        raise ValueError(f"expected a token (RFC 9110 5.6.2), got {token!r}")
    return token


def _error(expected: str, text: str, at: int) -> ValueError:
    got = repr(text[at : at + _EXCERPT]) if at < len(text) else "the end"
    return ValueError(f"expected {expected} at character {at} of Sec-WebSocket-Extensions, got {got}")
