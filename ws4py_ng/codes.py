"""Numbers that RFC 6455 gives names to: opcodes and close codes.

It knows nothing but numbers. Everything above may import it.
"""

from __future__ import annotations

from typing import Final

# RFC 6455 5.2: opcodes. 3 to 7 and 11 to 15 are reserved.
CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

OPCODES: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
OPCODE_NAMES: Final = {
    CONTINUATION: "continuation",
    TEXT: "text",
    BINARY: "binary",
    CLOSE: "close",
    PING: "ping",
    PONG: "pong",
}

# RFC 6455 5.5: a control frame's payload.
MAX_CONTROL_PAYLOAD: Final = 125
# ... of which two bytes are the close code.
MAX_CLOSE_REASON: Final = MAX_CONTROL_PAYLOAD - 2

# RFC 6455 7.4.1 and the IANA registry "WebSocket Close Code Number".
NORMAL_CLOSURE: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS_RECEIVED: Final = 1005
ABNORMAL_CLOSURE: Final = 1006
INVALID_PAYLOAD: Final = 1007
POLICY_VIOLATION: Final = 1008
MESSAGE_TOO_BIG: Final = 1009
MANDATORY_EXTENSION: Final = 1010
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
BAD_GATEWAY: Final = 1014
TLS_HANDSHAKE: Final = 1015

# The reason that goes with 1001 where a server ends.
DRAIN_REASON: Final = "Server is shutting down"

CLOSE_CODE_NAMES: Final = {
    NORMAL_CLOSURE: "normal closure",
    GOING_AWAY: "going away",
    PROTOCOL_ERROR: "protocol error",
    UNSUPPORTED_DATA: "unsupported data",
    NO_STATUS_RECEIVED: "no status received",
    ABNORMAL_CLOSURE: "abnormal closure",
    INVALID_PAYLOAD: "invalid frame payload data",
    POLICY_VIOLATION: "policy violation",
    MESSAGE_TOO_BIG: "message too big",
    MANDATORY_EXTENSION: "mandatory extension",
    INTERNAL_ERROR: "internal error",
    SERVICE_RESTART: "service restart",
    TRY_AGAIN_LATER: "try again later",
    BAD_GATEWAY: "bad gateway",
    TLS_HANDSHAKE: "TLS handshake failure",
}

# Codes that report something to the local application and never travel.
LOCAL_CODES: Final = frozenset({NO_STATUS_RECEIVED, ABNORMAL_CLOSURE, TLS_HANDSHAKE})

_REGISTERED = frozenset(CLOSE_CODE_NAMES) - LOCAL_CODES


def is_sendable(code: int) -> bool:
    """Tell whether a Close frame may carry this code (RFC 6455 7.4.2).

    1000 to 1003 and 1007 to 1014 are registered, 3000 to 3999 belong to
    libraries and 4000 to 4999 to applications.
    """
    return code in _REGISTERED or 3000 <= code <= 4999


def describe(code: int) -> str:
    """Name a close code for a log line or an error: ``1009 (message too big)``."""
    if code in CLOSE_CODE_NAMES:
        return f"{code} ({CLOSE_CODE_NAMES[code]})"
    if 3000 <= code <= 4999:
        return f"{code} ({'library' if code < 4000 else 'application'})"
    return f"{code} (unknown)"
