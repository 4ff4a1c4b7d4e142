"""Sec-WebSocket-Key, the Sec-WebSocket-Accept that answers it, and fixed values (RFC 6455 1.3)."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from typing import Final

__all__ = ["accept_for", "is_key", "new_key"]

WEBSOCKET: Final = "websocket"
WEBSOCKET_VERSION: Final = "13"

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY_SIZE: Final = 16

# 16 bytes in base64 are 22 characters and the padding. The 4 bits that are left over are
# let alone: RFC 4648 3.5 leaves it open, and the digest is made of the text.
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")


def new_key(random: Callable[[int], bytes] = os.urandom) -> str:
    """Make a key from 16 random bytes; give another source for a replay.

    >>> new_key(lambda n: b"the sample nonce")
    'dGhlIHNhbXBsZSBub25jZQ=='
    """
    return base64.b64encode(random(KEY_SIZE)).decode("ascii")


def is_key(key: str) -> bool:
    """Tell whether this is 16 bytes in base64."""
    return _KEY.fullmatch(key) is not None


def accept_for(key: str) -> str:
    """Give the Sec-WebSocket-Accept that proves that the key was read.

    >>> accept_for("dGhlIHNhbXBsZSBub25jZQ==")
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    # No secret: the digest only proves that the peer knows WebSocket (RFC 6455 10.8).
    digest = hashlib.sha1(key.encode("ascii") + GUID, usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode("ascii")
