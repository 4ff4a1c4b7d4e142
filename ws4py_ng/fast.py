"""The libraries of the extra ``fast`` that deflate, where they are installed and wanted.

`extensions.engines` says what each is for. They are imported when the first message is to be compressed
or inflated. ``WS4PY_NG_FASTDEFLATE=0`` in the environment leaves them alone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from types import ModuleType
from typing import Final

__all__ = ["libraries"]

ENVIRONMENT: Final = "WS4PY_NG_FASTDEFLATE"


def libraries() -> dict[str, ModuleType]:
    """Return those that are there, by name."""
    found: dict[str, ModuleType] = {}
    if os.environ.get(ENVIRONMENT) == "0":
        return found
    with suppress(ImportError):
        from isal import isal_zlib

        found["isal"] = isal_zlib
    with suppress(ImportError):
        from zlib_ng import zlib_ng

        found["zlib_ng"] = zlib_ng
    return found
