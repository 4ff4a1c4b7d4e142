"""A capture that is still written, read as far as it goes."""

from __future__ import annotations

from ..capture import CaptureError, Recording
from ..capture.reading import Reader
from .console import Failure

__all__ = ["Growing"]

READ_SIZE = 1 << 20


class Growing:
    """Read a capture while it grows; raises Failure that says why it cannot be read."""

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
            data = self._file.read(READ_SIZE)
            if data:
                self._reader.feed(data)
        except OSError as error:
            raise Failure(f"cannot read {self.path}: {error.strerror or error}") from error
        except CaptureError as error:
            raise Failure(str(error)) from error
        return bool(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
