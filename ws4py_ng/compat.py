"""What ws4py kept here for Python 2 and 3; programs import it, some by ``*``."""

from __future__ import annotations

import builtins
from typing import Any
from urllib.parse import urlsplit

__all__ = ["basestring", "detach_connection", "get_connection", "ord", "py3k", "range", "unicode", "urlsplit"]

py3k = True
basestring = (bytes, str)
range = builtins.range
unicode = str


def ord(c: int | str | bytes) -> int:
    """Return the number of a character; a number is one already."""
    return c if isinstance(c, int) else builtins.ord(c)


def get_connection(fileobj: Any) -> Any:
    """Return the socket below a file that `socket.makefile` made."""
    return fileobj.raw._sock


def detach_connection(fileobj: Any) -> None:
    """Part a file from its socket, without closing the socket."""
    fileobj.detach()
