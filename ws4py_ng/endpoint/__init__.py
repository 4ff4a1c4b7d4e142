"""One end of a WebSocket, without any transport: hooks, session, send, close, ping."""

from __future__ import annotations

from .sender import Buffer, Payload
from .session import Ending, Endpoint, Step
from .transport import NO_TRANSPORT, SENT, Fragments, Sent, Tenant, Transport

__all__ = [
    "NO_TRANSPORT",
    "SENT",
    "Buffer",
    "Ending",
    "Endpoint",
    "Fragments",
    "Payload",
    "Sent",
    "Step",
    "Tenant",
    "Transport",
]
