"""A capture that is still written, read as far as it goes, from part to part."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..capture import CaptureError, Recording
from ..capture.reading import Reader
from ..capture.writing import PARTS, part_path
from .console import Failure

__all__ = ["Growing"]

READ_SIZE = 1 << 20


class Growing:
    """Read a capture while it grows; raises Failure that says why it cannot be read.

    A part is read to its end before the next one is begun with.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._reader = Reader(path)
        try:
            self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise Failure(f"cannot read {path}: {error.strerror or error}") from error

    @property
    def recording(self) -> Recording:
        """What was read so far."""
        return self._reader.recording

    def read(self) -> bool:
        """Read a piece of what is new; return whether there was any."""
        try:
            # Looked for before the read: when there is one, nothing more is written into this part.
            following = self._following()
            data = self._file.read(READ_SIZE)
            if data:
                self._reader.feed(data)
            elif following is not None:
                self._go_on(*following)
        except OSError as error:
            raise Failure(f"cannot read {self.path}: {error.strerror or error}") from error
        except CaptureError as error:
            raise Failure(str(error)) from error
        return bool(data) or following is not None

    def _following(self) -> tuple[Path, os.stat_result] | None:
        """Find the part behind the one that is read; None if that is still the last one.

        If it is gone, with those before it, this is the oldest that is there.
        """
        here = os.fstat(self._file.fileno())
        newer = None
        for number in range(PARTS):
            part = part_path(Path(self.path), number)
            with suppress(FileNotFoundError):
                found = part.stat()
                if os.path.samestat(found, here):
                    break
                newer = part, found
        return newer

    def _go_on(self, path: Path, stat: os.stat_result) -> None:
        """Begin with the next part, unless it was renamed in this moment: it is looked for again."""
        with suppress(FileNotFoundError):
            file = open(path, "rb")  # noqa: SIM115 - closed by close()
            if not os.path.samestat(os.fstat(file.fileno()), stat):
                file.close()
                return
            self._file.close()
            self._file = file
            self._reader.next_part()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
