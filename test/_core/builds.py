"""The builds of the core that are there: pure always, compiled where it was made."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from ws4py_ng.exc import ProtocolError


def _load(suffix: str) -> Any:
    names = ("frames", "mask", "outbox", "reader", "writer")
    frames, mask, outbox, reader, writer = (import_module(f"ws4py_ng._core.{name}_{suffix}") for name in names)
    return SimpleNamespace(
        FrameReader=reader.FrameReader,
        Outbox=outbox.Outbox,
        Partial=mask.Partial,
        apply_mask=mask.apply_mask,
        encode_frame=writer.encode_frame,
        frame_head=writer.frame_head,
        new_frames=frames.new_frames,
        new_partial=mask.new_partial,
    )


PURE = _load("py")
try:
    COMPILED = _load("c")
except ImportError:
    COMPILED = None

BUILDS = [pytest.param(PURE, id="pure")] + ([pytest.param(COMPILED, id="compiled")] if COMPILED else [])


def trace(build: Any, chunks: list[bytes], masked: bool = True, **options: Any) -> list[Any]:
    """Feed a reader; return the frames, the needs between them, and the error, in order."""
    reader = build.FrameReader(masked, options.pop("max_payload", 1 << 20), options.pop("max_fragments", 1024))
    for name, value in options.items():
        setattr(reader, name, value)
    seen: list[Any] = []
    try:
        for chunk in (*chunks, b""):
            while reader.try_frame():
                seen.append((reader.opcode, reader.fin, reader.rsv, reader.payload))
            seen.append(reader.need)
            seen.append(reader.partial.piece(0) if reader.partial is not None else None)
            if not reader.at_eof:
                reader.feed(chunk)
    except ProtocolError as error:
        seen.append((error.code, error.reason))
    return seen
