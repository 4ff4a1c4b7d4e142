"""Header fields: an ordered multi-map that cannot carry an injection (RFC 9110 5).

It knows names, values and lists of tokens, and nothing of what a header means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Self, TypeAlias, overload

__all__ = ["HeaderSource", "Headers", "checked_tokens", "is_field_value", "is_token", "shown"]

HeaderSource: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_MAX_SHOWN = 200
_BLANKS: Final = " \t"
_SECRET: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


def is_token(text: str) -> bool:
    """Tell whether this is a token (RFC 9110 5.6.2), as names and subprotocols must be."""
    return _TOKEN.fullmatch(text) is not None


def is_field_value(text: str) -> bool:
    """Tell whether a header may carry this: latin-1 without control characters but tab."""
    return _FIELD_VALUE.fullmatch(text) is not None


def shown(values: Sequence[str]) -> str:
    """Show what the peer sent under a name, for an error: bounded, and bare if it is one."""
    text = repr(list(values) if len(values) > 1 else values[0] if values else None)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def checked_tokens(values: Iterable[str], what: str) -> tuple[str, ...]:
    """Check a list of tokens that the application gives, such as its subprotocols.

    Raises ValueError for a plain str, which would pass for a list of letters, for what is
    no token and for a repetition.
    """
    if isinstance(values, str):
        raise ValueError(f"{what} are {values!r}, expected a list of names")
    checked = tuple(values)
    for value in checked:
        if not is_token(value):
            raise ValueError(f"{value!r} in {what} is not a token (RFC 9110 5.6.2)")
    if len(set(checked)) < len(checked):
        raise ValueError(f"{what} are {list(checked)!r}, expected each name once")
    return checked


class Headers:
    """Keep header fields in their order, and find them whatever their case.

    Takes pairs, a mapping, or other Headers. Iterating gives the pairs.

    >>> headers = Headers([("Cookie", "a=1"), ("cookie", "b=2")])
    >>> headers.get("COOKIE")
    'a=1'
    """

    __slots__ = ("_index", "_pairs")

    def __init__(self, source: HeaderSource = ()) -> None:
        self._pairs: list[tuple[str, str]] = []
        self._index: dict[str, list[str]] = {}
        for name, value in source.items() if isinstance(source, Mapping) else source:
            self.add(name, value)

    @classmethod
    def checked(cls, pairs: list[tuple[str, str]]) -> Self:
        """Make headers of pairs that are known to be good and without blanks around the values."""
        self = cls.__new__(cls)
        self._pairs = pairs
        index: dict[str, list[str]] = {}
        self._index = index
        for name, value in pairs:
            key = name.lower()
            if key in index:
                index[key].append(value)
            else:
                index[key] = [value]
        return self

    def add(self, name: str, value: str) -> None:
        """Append a field; blanks around the value are dropped.

        Raises ValueError for what would start another header, or a body, and TypeError for what
        is no str. The value is not shown: it may be a secret.
        """
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"header {name!r} has a value of {type(value).__name__}, expected both to be str")
        if not is_token(name):
            raise ValueError(f"header name {name!r} is not a token (RFC 9110 5.6.2)")
        if not is_field_value(value):
            raise ValueError(f"the value of header {name} has a control character or one that is not latin-1")
        self.add_checked(name, value)

    def add_checked(self, name: str, value: str) -> None:
        """Append a field whose name and value are known to be good, as those that were parsed are."""
        value = value.strip(_BLANKS)
        self._pairs.append((name, value))
        self._index.setdefault(name.lower(), []).append(value)

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Give the first value of this name."""
        values = self._index.get(name.lower())
        return values[0] if values else default

    def get_all(self, name: str) -> list[str]:
        """Give every value of this name, in order."""
        return list(self._index.get(name.lower(), ()))

    def values(self, key: str) -> Sequence[str]:
        """Give the same for a name in lower case, without a copy."""
        return self._index.get(key, ())

    def tokens(self, name: str, *, lower: bool = False) -> list[str]:
        """Give the members of a comma-separated list that may span several lines.

        Empty members do not count (RFC 9110 5.6.1.2). Not for values with quoted strings.
        """
        text = ",".join(self._index.get(name.lower(), ()))
        if lower:
            text = text.lower()
        return [member for item in text.split(",") if (member := item.strip(_BLANKS))]

    def items(self) -> list[tuple[str, str]]:
        """Give all pairs, in order."""
        return list(self._pairs)

    def to_bytes(self) -> bytes:
        """Give the lines as they travel, without the empty one that ends a head."""
        return "".join(f"{name}: {value}\r\n" for name, value in self._pairs).encode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        return self._pairs == other._pairs if isinstance(other, Headers) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = [(name, "***" if name.lower() in _SECRET else value) for name, value in self._pairs]
        return f"Headers({shown!r})"
