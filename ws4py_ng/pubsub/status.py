"""What a hub tells of itself. All of it is a copy, and may be kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..endpoint import Endpoint
from .bus import BusStatus, Outcome

__all__ = ["HubStatus", "Presence", "Receipt"]


class Presence(NamedTuple):
    """Say that a connection is in a topic; ``info`` is what `Hub.subscribe` was told of it.

    ``websocket`` is None when it has gone without a word: nobody else held it any more. ``process`` names
    another process whose connection it is; "" is this one.
    """

    topic: str
    info: object
    websocket: Endpoint | None
    process: str = ""


class Receipt(NamedTuple):
    """Say what became of a publish: how many members here it was handed to, and what the bus did with it."""

    members: int
    bus: Outcome


@dataclass(frozen=True, slots=True)
class HubStatus:
    """Count what a hub holds now, and what it has done since it was made."""

    topics: int
    members: int
    subscriptions: int
    pending_messages: int
    """Messages that wait for members who are behind, one for each of them."""
    pending_bytes: int
    published: int
    """Publishes of this hub's own."""
    received: int
    """Publishes that the bus has brought."""
    handed_out: int
    """Messages that were handed to a member, or to its outbox."""
    handed_out_bytes: int = 0
    """Bytes of their payloads."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Messages that a member has not got, by policy; ``close`` counts the members that were closed with 1013."""
    bus: BusStatus = field(default_factory=BusStatus)
    processes: int = 0
    """Others that say who is there (``presence_interval``)."""
    members_elsewhere: int = 0
    """How often somebody is in a topic there."""
