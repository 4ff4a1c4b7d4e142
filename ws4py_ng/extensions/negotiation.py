"""permessage-deflate: what two sides agree on, in the parameters of RFC 7692 7.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from .permessage_deflate import (
    DEFAULT_LEVEL,
    DEFAULT_MEM_LEVEL,
    DEFAULT_THRESHOLD,
    DEFAULT_WINDOW_BITS,
    MAX_WINDOW_BITS,
    MIN_DEFLATE_BITS,
    MIN_WINDOW_BITS,
    NAME,
    PerMessageDeflate,
    check,
    check_settings,
)

__all__ = ["PerMessageDeflateFactory"]

_SERVER_NO_CONTEXT: Final = "server_no_context_takeover"
_CLIENT_NO_CONTEXT: Final = "client_no_context_takeover"
_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"

_Params: TypeAlias = list[tuple[str, str | None]]
_Table: TypeAlias = dict[str, dict[str | None, int]]

# RFC 7692 7.1: the parameters, the values that each may have, and what these mean. What is
# absent is forbidden: other names, leading zeros, a value for a flag.
_FLAG: Final[dict[str | None, int]] = {None: True}
_BITS: Final[dict[str | None, int]] = {str(n): n for n in range(MIN_WINDOW_BITS, MAX_WINDOW_BITS + 1)}
_ANSWER: Final[_Table] = {
    _SERVER_NO_CONTEXT: _FLAG,
    _CLIENT_NO_CONTEXT: _FLAG,
    _SERVER_BITS: _BITS,
    _CLIENT_BITS: _BITS,
}
# Only in an offer the client may leave the value to the server (RFC 7692 7.1.2.2).
_OFFER: Final[_Table] = _ANSWER | {_CLIENT_BITS: _BITS | {None: MAX_WINDOW_BITS}}


@dataclass(frozen=True, slots=True, kw_only=True)
class PerMessageDeflateFactory:
    """Negotiate permessage-deflate, as a server (`accept`) or a client (`offer`, `confirm`).

    Pass one to a server or a client; it holds no connection's state. Raises ValueError for a
    value that makes no sense. ``level``, ``mem_level`` and ``threshold`` are about what we send.
    """

    server_no_context_takeover: bool = False
    """The server forgets its window after each message: no memory, and a third of the ratio."""

    client_no_context_takeover: bool = False
    """The client forgets its window after each message."""

    server_max_window_bits: int | None = None
    """Window of what the server sends. A server deflates with no more than this and says so;
    None: 12. A client asks for no more and refuses a server that does not agree; None: it does
    not ask, since servers that know nothing of it are many."""

    client_max_window_bits: int | bool | None = True
    """Window of what the client sends. A client deflates with no more than this (True, None:
    12) and offers to obey a smaller one, unless None. A server asks for no more (True: 12)
    unless None; a client that did not offer to obey has to do without context takeover
    instead, so that the memory that a server gives is its own to choose."""

    level: int = DEFAULT_LEVEL
    mem_level: int = DEFAULT_MEM_LEVEL
    threshold: int = DEFAULT_THRESHOLD

    name: ClassVar[str] = NAME

    def __post_init__(self) -> None:
        if self.server_max_window_bits is not None:
            check(_SERVER_BITS, self.server_max_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        if self.client_max_window_bits is not None and self.client_max_window_bits is not True:
            check(_CLIENT_BITS, self.client_max_window_bits, MIN_WINDOW_BITS, MAX_WINDOW_BITS)
        check_settings(self.level, self.mem_level, self.threshold)

    def accept(self, params: _Params) -> tuple[_Params, PerMessageDeflate] | None:
        """Answer a client's offer, as a server: the parameters of the answer, and the codec.

        None declines: a parameter that RFC 7692 7.1 does not have, twice, or with a value that
        it cannot have; or a window of 8 bits for us, which zlib cannot keep to.
        """
        try:
            offered = _read(params, _OFFER)
        except ValueError:
            return None
        own_bits = self.server_max_window_bits or DEFAULT_WINDOW_BITS
        own_bits = min(own_bits, offered.get(_SERVER_BITS, MAX_WINDOW_BITS))
        if own_bits < MIN_DEFLATE_BITS:
            return None
        own_forgets = self.server_no_context_takeover or _SERVER_NO_CONTEXT in offered
        peer_forgets = self.client_no_context_takeover or _CLIENT_NO_CONTEXT in offered
        wanted = MAX_WINDOW_BITS if self.client_max_window_bits is None else self._client_bits
        if _CLIENT_BITS in offered:
            peer_bits = min(wanted, offered[_CLIENT_BITS])
        else:
            peer_bits = MAX_WINDOW_BITS
            peer_forgets = peer_forgets or wanted < MAX_WINDOW_BITS
        answer: _Params = []
        if own_forgets:
            answer.append((_SERVER_NO_CONTEXT, None))
        if peer_forgets:
            answer.append((_CLIENT_NO_CONTEXT, None))
        if own_bits < MAX_WINDOW_BITS or _SERVER_BITS in offered:
            answer.append((_SERVER_BITS, str(own_bits)))
        if peer_bits < MAX_WINDOW_BITS:
            answer.append((_CLIENT_BITS, str(peer_bits)))
        return answer, self._codec(own_bits, own_forgets, peer_bits, peer_forgets)

    def offer(self) -> _Params:
        """Give the parameters of a client's offer."""
        offer: _Params = []
        if self.server_no_context_takeover:
            offer.append((_SERVER_NO_CONTEXT, None))
        if self.client_no_context_takeover:
            offer.append((_CLIENT_NO_CONTEXT, None))
        if self.server_max_window_bits is not None:
            offer.append((_SERVER_BITS, str(self.server_max_window_bits)))
        if self.client_max_window_bits is not None:
            bits = self.client_max_window_bits
            offer.append((_CLIENT_BITS, None if bits is True else str(bits)))
        return offer

    def confirm(self, params: _Params) -> PerMessageDeflate:
        """Read the server's answer to `offer`, as a client.

        Raises ValueError when RFC 7692 7.1 does not allow that answer to that offer: the client
        then has to fail the connection.
        """
        answer = _read(params, _ANSWER)
        offered = _read(self.offer(), _OFFER)
        for name in (_SERVER_NO_CONTEXT, _SERVER_BITS):
            if name in offered and name not in answer:
                raise ValueError(f"expected {name} in the answer, as offered, got none")
        if _CLIENT_BITS in answer and _CLIENT_BITS not in offered:
            raise ValueError(f"expected no {_CLIENT_BITS}, which was not offered, got {answer[_CLIENT_BITS]}")
        for name in (_SERVER_BITS, _CLIENT_BITS):
            most = offered.get(name, MAX_WINDOW_BITS)
            if answer.get(name, most) > most:
                raise ValueError(f"expected {name} of at most {most}, as offered, got {answer[name]}")
        return self._codec(
            min(self._client_bits, answer.get(_CLIENT_BITS, MAX_WINDOW_BITS)),
            self.client_no_context_takeover or _CLIENT_NO_CONTEXT in answer,
            answer.get(_SERVER_BITS, MAX_WINDOW_BITS),
            _SERVER_NO_CONTEXT in answer,
        )

    @property
    def _client_bits(self) -> int:
        bits = self.client_max_window_bits
        return DEFAULT_WINDOW_BITS if bits is None or bits is True else bits

    def _codec(self, own: int, own_forgets: bool, peer: int, peer_forgets: bool) -> PerMessageDeflate:
        return PerMessageDeflate(
            own_window_bits=own,
            own_no_context_takeover=own_forgets,
            peer_window_bits=peer,
            peer_no_context_takeover=peer_forgets,
            level=self.level,
            mem_level=self.mem_level,
            threshold=self.threshold,
        )


def _read(params: _Params, table: _Table) -> dict[str, int]:
    read: dict[str, int] = {}
    for name, value in params:
        if name not in table:
            raise ValueError(f"expected a parameter of {NAME}, got {name!r:.60}")
        if name in read:
            raise ValueError(f"expected {name} once, got it twice")
        if value not in table[name]:
            expected = "no value" if table[name] is _FLAG else f"{MIN_WINDOW_BITS} to {MAX_WINDOW_BITS}"
            raise ValueError(f"expected {name} with {expected}, got {value!r:.60}")
        read[name] = table[name][value]
    return read
