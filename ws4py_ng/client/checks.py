"""What a client is given, checked where it is made: an error names the argument, its value and what is expected.

What may be a secret is not shown: a header, and a URL that is no str.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..handshake import Headers

__all__ = ["check_arguments", "checked_headers", "checked_names"]

# The only option that an SSLContext cannot hold.
NOT_IN_A_CONTEXT = frozenset({"server_hostname"})


def check_arguments(url: object, ssl_context: object, ssl_options: Iterable[str]) -> None:
    """Raise TypeError for what is of another type, ValueError for what contradicts itself."""
    if not isinstance(url, str):
        raise TypeError(f"url is {_kind(url)}, expected a str such as 'ws://host:9000/path'")
    if ssl_context is None:
        return
    if not hasattr(ssl_context, "wrap_socket"):
        raise TypeError(f"ssl_context is {ssl_context!r}, expected an ssl.SSLContext")
    both = sorted(set(ssl_options) - NOT_IN_A_CONTEXT)
    if both:
        raise ValueError(f"ssl_options has {both} beside an ssl_context, expected one or the other")


def checked_names(names: Any, what: str) -> Any:
    """Return what is a list of str or None. Raises ValueError for a str, which would pass for a list of letters."""
    if isinstance(names, str):
        raise ValueError(f"{what} is {names!r}, expected a list of names")
    if names is not None and not isinstance(names, Iterable):
        raise TypeError(f"{what} is {names!r}, expected a list of names")
    if names is not None and not isinstance(names, Collection):
        names = list(names)  # what can be gone through once
    for name in names or ():
        if not isinstance(name, str):
            raise TypeError(f"{what} has {name!r}, expected each name as a str")
    return names


def checked_headers(headers: Any) -> Headers:
    """Make headers of a mapping or of pairs, None for none."""
    if headers is not None and not isinstance(headers, Iterable):
        raise TypeError(f"headers is {_kind(headers)}, expected a dict, or pairs such as ('Cookie', 'a=1')")
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"headers has an item {_kind(pair)}, expected a dict, or pairs such as ('Cookie', 'a=1')")
        name, value = pair
        if not isinstance(name, str):
            raise TypeError(f"headers has the name {name!r}, expected a str")
        if not isinstance(value, str):
            raise TypeError(f"the value of header {name} is {_kind(value)}, expected a str")
    return Headers(pairs)


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
