"""Frames as bytes, from one source in two builds: compiled where that worked, else pure.

``WS4PY_NG_PURE=1`` in the environment chooses the pure build. `BUILD` says which one runs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

__all__ = ["BUILD", "FrameReader", "Outbox", "apply_mask", "encode_frame", "frame_head"]

if TYPE_CHECKING:
    from .mask_py import apply_mask
    from .outbox_py import Outbox
    from .reader_py import FrameReader
    from .writer_py import encode_frame, frame_head

    BUILD: str
else:
    try:
        if os.environ.get("WS4PY_NG_PURE") == "1" or sys.implementation.name != "cpython":
            raise ImportError("the pure build was asked for")
        from .mask_c import apply_mask
        from .outbox_c import Outbox
        from .reader_c import FrameReader
        from .writer_c import encode_frame, frame_head

        BUILD = "compiled"
    except ImportError:
        from .mask_py import apply_mask
        from .outbox_py import Outbox
        from .reader_py import FrameReader
        from .writer_py import encode_frame, frame_head

        BUILD = "pure"
