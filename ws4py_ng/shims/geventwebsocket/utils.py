"""The version that this stands in for."""

from __future__ import annotations

__all__ = ["VERSION", "get_version"]

VERSION = (0, 10, 1, "final", 0)


def get_version(version: tuple[int | str, ...] | None = None) -> str:
    """Return the version of gevent-websocket whose names these are."""
    return ".".join(map(str, (version or VERSION)[:3]))
