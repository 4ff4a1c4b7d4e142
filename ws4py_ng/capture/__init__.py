"""Record connections, read the recordings, and replay them.

`settings` is what a program says, `writing` and `reading` are the file, `replaying` drives a subclass by
a recording. The format is described in docs/reference/capture.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .live import LiveReplay, replay_to_client, replay_to_server
    from .reading import CaptureError, Chunk, Connection, Recording, read
    from .replaying import Replay, replay
    from .settings import Capture, CaptureOption

__all__ = [
    "Capture",
    "CaptureError",
    "CaptureOption",
    "Chunk",
    "Connection",
    "LiveReplay",
    "Recording",
    "Replay",
    "read",
    "replay",
    "replay_to_client",
    "replay_to_server",
]

# Every WebSocket may be tapped; few programs read and replay, which needs ssl and asyncio.
_WHERE = {
    **dict.fromkeys(("LiveReplay", "replay_to_client", "replay_to_server"), "live"),
    **dict.fromkeys(("CaptureError", "Chunk", "Connection", "Recording", "read"), "reading"),
    **dict.fromkeys(("Replay", "replay"), "replaying"),
    **dict.fromkeys(("Capture", "CaptureOption"), "settings"),
}


if not TYPE_CHECKING:  # it would let a type checker take any name

    def __getattr__(name: str) -> Any:
        """Import what is asked for."""
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
