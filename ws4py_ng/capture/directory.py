"""A directory of captures, kept at about a size: what nobody has written into for the longest time goes."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from .writing import PARTS, is_ours, is_taken

__all__ = ["Directory", "directory"]

_CAPTURE: Final = re.compile(r"(.*?)(?:\.([0-9]))?\.wscap(?:\.gz)?", re.DOTALL)
# To look at a directory takes as long as it has files: it is done once for so many of the bytes it may have.
_LOOKS: Final = 16


class Directory:
    """Count what is written into a directory, and remove the oldest captures when that is too much.

    Files that are being written stay, whoever writes them, and so does what is no capture.
    """

    def __init__(self, path: Path, max_size: int) -> None:
        self._path = path
        self._max_size = max_size
        self._until_look = 0

    def grown(self, size: int) -> None:
        """Take note of bytes that were written, and look whether others have to go."""
        self._until_look -= size
        if self._until_look <= 0:
            self._until_look = self._max_size // _LOOKS
            with suppress(OSError):
                self._prune(self._max_size - self._max_size // PARTS)

    def _prune(self, max_size: int) -> None:
        total, found = 0, []
        with os.scandir(self._path) as entries:
            for entry in entries:
                name = _CAPTURE.fullmatch(entry.name)
                if name is not None and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        status = entry.stat()
                        total += status.st_size
                        # Of one time: the part with the higher number is the older one.
                        found.append((status.st_mtime_ns, name[1], -int(name[2] or 0), status.st_size, entry.path))
        for *_, size, path in sorted(found):
            if total <= max_size:
                break
            with suppress(OSError):
                if is_ours(Path(path)) and not is_taken(Path(path)):
                    os.unlink(path)
                    total -= size


@lru_cache(maxsize=1000)
def directory(path: Path, max_size: int) -> Directory:
    """Return what counts for a directory, the same for all who record there."""
    return Directory(path, max_size)
