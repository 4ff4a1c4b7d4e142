"""What the four classes have in common: options, subprotocols, and how a connection ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...codes import MAX_CLOSE_REASON, NO_STATUS_RECEIVED, NORMAL_CLOSURE
from ...endpoint.names import Reserving
from ...limits import MIB, Limits
from ...states import State
from .errors import ConnectionClosed

__all__ = ["DEFAULT_RECEIVE_BYTES", "Connected", "Request", "header_pairs", "limits_of", "subprotocols_of"]

DEFAULT_RECEIVE_BYTES = 4096
# Without max_message_size; the original knows no limit then.
LIMITS = Limits(max_message_size=16 * MIB)

Headers = Mapping[str, str] | Iterable[tuple[str, str]] | None


@dataclass(frozen=True)
class Request:
    """Say what a client asked for, to `choose_subprotocol`."""

    subprotocols: Sequence[str]
    headers: Mapping[str, str]


def limits_of(ping_interval: float | None, max_message_size: int | None) -> Limits:
    """Make limits of these options; without them, as with 0, ours hold."""
    limits = replace(LIMITS, max_message_size=max_message_size) if max_message_size else LIMITS
    if ping_interval:
        limits = replace(limits, ping_interval=ping_interval, ping_timeout=ping_interval)
    return limits


def subprotocols_of(given: str | Iterable[str] | None) -> list[str]:
    """Make a list of what may be one name, several or none."""
    return [given] if isinstance(given, str) else list(given or ())


def header_pairs(headers: Headers) -> list[tuple[str, str]]:
    """Make pairs of a dict, or of pairs."""
    return list(headers.items() if isinstance(headers, Mapping) else headers or ())


class Connected(Reserving):
    """Hold what can be asked of a connection."""

    _ws: Any = None
    subprotocol: str | None = None
    subprotocols: list[str]

    @property
    def connected(self) -> bool:
        """Whether messages can be sent."""
        return self._ws is not None and self._ws._state is State.OPEN

    @property
    def close_reason(self) -> int:
        """The close code; 1005 (no status) as long as there is none."""
        return self._ending()[0]

    @property
    def close_message(self) -> str | None:
        """What was said when it was closed."""
        return self._ending()[1] or None

    def choose_subprotocol(self, request: Request) -> str | None:
        """Choose among ``request.subprotocols``, which the client offers: the first that we know.

        To be overridden; None is none of them.
        """
        return next((each for each in request.subprotocols if each in self.subprotocols), None)

    def _ending(self) -> tuple[int, str]:
        ending: tuple[int, str] | None = None if self._ws is None else self._ws._inbox.ending
        return ending or (NO_STATUS_RECEIVED, "")

    def _closed(self) -> ConnectionClosed:
        return ConnectionClosed(self.close_reason, self.close_message)

    def _check_open(self) -> None:
        if not self.connected:
            raise self._closed()

    def _put_close(self, reason: int | None, message: str | None) -> Any:
        """Begin the closing handshake; return what can be awaited, where that is done.

        What a Close frame cannot hold of the message is left out.
        """
        self._check_open()
        said = (message or "").encode()[:MAX_CLOSE_REASON].decode("utf-8", "ignore")
        return self._ws.close(int(reason or NORMAL_CLOSURE), said)


def payload_of(data: object) -> tuple[Any, bool]:
    """Return what is sent, and whether it is binary: all but bytes is text, by ``str``."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), True
    return str(data), False
