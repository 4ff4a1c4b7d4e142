"""Record connections, read the recordings, and replay them.

`settings` is what a program says, `writing` and `reading` are the file, `replaying` drives a subclass by
a recording. The format is described in docs/reference/capture.md.
"""

from __future__ import annotations

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
