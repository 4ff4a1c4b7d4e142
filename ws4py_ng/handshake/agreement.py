"""Agree on extensions (RFC 6455 9.1): what both sides of a handshake need of one.

The interfaces are declared here because here they are called. What an extension does with
frames is no concern of the handshake: it hands the instance on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ..extensions.header import parse_extensions

if TYPE_CHECKING:
    from ..extensions import Extension

__all__ = ["ClientExtension", "Params", "ServerExtension", "accept_offers", "confirm_answer"]

Params: TypeAlias = list[tuple[str, str | None]]


class ServerExtension(Protocol):
    """Say what a server needs of an extension that it supports."""

    @property
    def name(self) -> str:
        """Give the registered name."""

    def accept(self, params: Params) -> tuple[Params, Extension] | None:
        """Answer an offer: the parameters and what will run them, or None to decline."""


class ClientExtension(Protocol):
    """Say what a client needs of an extension that it offers."""

    @property
    def name(self) -> str:
        """Give the registered name."""

    def offer(self) -> Params:
        """Give the parameters of the offer."""

    def confirm(self, params: Params) -> Extension:
        """Take the server's answer; raise ValueError when it does not fit the offer."""


def accept_offers(
    values: Iterable[str], supported: Sequence[ServerExtension]
) -> tuple[list[tuple[str, Params]], list[Extension]]:
    """Choose among a client's offers, in its order of preference, each name once.

    An offer that nobody here takes is declined in silence. Raises ValueError for bad syntax.
    """
    answer: list[tuple[str, Params]] = []
    agreed: list[Extension] = []
    for name, params in parse_extensions(values):
        if any(name == taken for taken, _ in answer):
            continue
        results = (entry.accept(params) for entry in supported if entry.name == name)
        accepted = next((result for result in results if result is not None), None)
        if accepted is not None:
            answer.append((name, accepted[0]))
            agreed.append(accepted[1])
    return answer, agreed


def confirm_answer(
    values: Iterable[str], offered: Sequence[ClientExtension], *, strict: bool = True
) -> list[Extension]:
    """Check a server's answer against what was offered; give the instances in its order.

    Raises ValueError for what was not offered (unless not ``strict``), for a name that comes
    twice and for parameters that no offer of that name confirms.
    """
    agreed: list[Extension] = []
    names: set[str] = set()
    for name, params in parse_extensions(values):
        entries = [entry for entry in offered if entry.name == name]
        if not entries:
            if strict:
                raise ValueError(f"extension {name} was not offered")
            continue
        if name in names:
            raise ValueError(f"extension {name} comes twice")
        names.add(name)
        agreed.append(_confirm(entries, params))
    return agreed


def _confirm(entries: Sequence[ClientExtension], params: Params) -> Extension:
    """Find the offer that this answers; the same name may have been offered in variants."""
    for entry in entries[:-1]:
        try:
            return entry.confirm(params)
        except ValueError:
            continue
    return entries[-1].confirm(params)
