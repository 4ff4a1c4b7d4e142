"""Publish to many WebSockets: a `Hub` with topics, members on any transport, and a `Bus` between processes."""

from __future__ import annotations

from .bus import Bus, BusStatus, MemoryBus, Outcome
from .hub import Hub
from .member import MemberStatus, Policy
from .process import process_hub
from .status import HubStatus, Presence, Receipt

__all__ = [
    "Bus",
    "BusStatus",
    "Hub",
    "HubStatus",
    "MemberStatus",
    "MemoryBus",
    "Outcome",
    "Policy",
    "Presence",
    "Receipt",
    "process_hub",
]
