"""Capture files: blocks are written as they come, each by one call, so that a kill loses none.

One `CaptureFile` is shared by all connections that record into the same path. Nothing here raises
at a connection: a disk that is full ends the capture, with one line in the log.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import stat
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from struct import Struct
from time import monotonic_ns, time_ns
from typing import Any, Final, TypeAlias
from weakref import WeakSet

from .._version import __version__
from .blocks import COMMENT, INTERFACE, PACKET, SECTION, block, option
from .packets import ACK, FIN, LINKTYPE_RAW, MAX_SEGMENT, PSH, RST, SYN, Flow

__all__ = [
    "FORMAT",
    "OURS",
    "PARTS",
    "CaptureFile",
    "Line",
    "check_place",
    "is_ours",
    "is_taken",
    "open_file",
    "part_path",
]

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = logging.getLogger("ws4py_ng")

FORMAT: Final = 1
"""Version of the format: the first word of each section's comment."""

OURS: Final = b'"ws4py_ng.capture"'
"""What our own captures have near their beginning: the name of the version, in the comment of the first block."""

PARTS: Final = 4
"""Files that a bound on the size is divided into: the oldest goes when a new one begins."""

# Options of pcapng: names, and the resolution of times, 10^-9 s.
_HARDWARE, _OS, _APPLICATION = 2, 3, 4
_IF_NAME, _IF_TSRESOL = 2, 9
_END_OF_OPTIONS = b"\0\0\0\0"
_NANOSECONDS = b"\x09"
_MAX_NOTE = 4000
_GZIP = b"\x1f\x8b"
_BEGIN = 1024
# What one call of the system takes (IOV_MAX is 1024 on Linux): more, of a chunk of many MiB, is joined.
_MAX_PARTS = 1000
# What is cheaper to join than to hand over in parts. Windows has no writev.
_JOINED = 4096
_writev = getattr(os, "writev", None)
# Files that are remembered when nobody records into them any more. One that is forgotten becomes a part
# when its path is used again.
_MAX_FILES = 1000

_section = Struct("<IHHq")
_interface = Struct("<HHI")
_packet = Struct("<IIIIIII")
# epb_flags (code 2, 4 bytes): 1 came in, 2 went out; then the end of options.
_FLAGS: Final = (b"\x02\0\4\0\1\0\0\0", b"\x02\0\4\0\2\0\0\0")
_word = Struct("<I")
# What stands behind the data and before the last length, by direction and padding.
_ENDS: Final = [[bytes(padding) + flags + _END_OF_OPTIONS for padding in range(4)] for flags in _FLAGS]

_numbers = count(1)

Buffer: TypeAlias = bytes | memoryview


class Line:
    """Stand for one connection in a capture file."""

    def __init__(self, about: dict[str, Any], local: Any, peer: Any) -> None:
        self.number = next(_numbers)
        self.about = about
        self.flow = Flow(local, peer, self.number)
        self.by_client = about["role"] == "client"
        self.generation = 0  # of the file that this connection was declared in last
        self.interface = 0
        self.begun = False


class CaptureFile:
    """Write one capture, in parts; any thread may.

    ``path`` ends with ``.gz`` to have it compressed. The part that is written is ``path`` itself, the
    one before it ``name.1.wscap`` and so on. An old capture of that name becomes a part as well; anything
    else that is there ends this one before it has begun. ``grown`` is told how much was written.
    """

    def __init__(self, path: Path, max_size: int, grown: Callable[[int], None] | None = None) -> None:
        self.path = path
        self._grown = grown
        self._part_size = max(max_size // PARTS, 1)
        self._compressed = path.suffix == ".gz"
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._gzip: Any = None
        self._size = 0
        self._offset = 0  # from the monotonic clock to the time of day
        self._generation = 0
        self._interfaces = 0
        self._open_lines = 0
        self._is_new = True
        self._broken = False
        _all_files.add(self)

    def enter(self) -> None:
        """Take note that a connection records here."""
        with self._lock:
            self._open_lines += 1

    def leave(self, line: Line) -> None:
        """Take note that a connection is over; behind the last one the file is closed."""
        with self._lock:
            self._open_lines -= 1
            if self._open_lines == 0:
                self._close()
                if len(_files) > _MAX_FILES:
                    _files.pop(os.path.abspath(self.path), None)

    def chunk(self, line: Line, stamp: int, outgoing: bool, data: Buffer) -> None:
        """Record a chunk that was read or is about to be written."""
        with self._lock:
            if (
                line.generation != self._generation or self._size >= self._part_size or self._fd is None
            ) and not self._ready(line, stamp):
                return
            time, size = stamp + self._offset, len(data)
            if size <= MAX_SEGMENT:
                whole = _block(line, time, outgoing, data, size, ACK | PSH)
                self._put([b"".join(whole)] if size <= _JOINED else whole)
                return
            parts: list[Buffer] = []
            view = memoryview(data)
            for start in range(0, size, MAX_SEGMENT):
                piece = view[start : start + MAX_SEGMENT]
                flags = ACK | (PSH if start + MAX_SEGMENT >= size else 0)
                parts += _block(line, time, outgoing, piece, len(piece), flags)
            self._put(parts)

    def end(self, line: Line, stamp: int, outgoing: bool, note: str | None = None) -> None:
        """Record the end of one direction, or the error that ended both."""
        with self._lock:
            if self._ready(line, stamp):
                flags = ACK | (FIN if note is None else RST)
                self._put(_block(line, stamp + self._offset, outgoing, b"", 0, flags, note))

    def _ready(self, line: Line, stamp: int) -> bool:
        if self._broken:
            return False
        if self._fd is None or self._size >= self._part_size:
            try:
                self._begin_part()
            except OSError as error:
                self._fail(error)
                return False
        if line.generation != self._generation:
            self._declare(line, stamp)
        return not self._broken

    def _declare(self, line: Line, stamp: int) -> None:
        """Describe a connection, in each part that has something of it."""
        line.generation = self._generation
        line.interface = self._interfaces
        self._interfaces += 1
        about = json.dumps(line.about | {"connection": line.number, "continued": line.begun})
        name = f"{line.about['role']} {line.number}"
        body = _interface.pack(LINKTYPE_RAW, 0, 0) + option(COMMENT, about.encode())
        body += option(_IF_NAME, name.encode()) + option(_IF_TSRESOL, _NANOSECONDS) + _END_OF_OPTIONS
        parts: list[Buffer] = [block(INTERFACE, body)]
        if not line.begun:
            line.begun = True
            first = line.by_client
            for outgoing, flags in ((first, SYN), (not first, SYN | ACK), (first, ACK)):
                parts += _block(line, stamp + self._offset, outgoing, b"", 0, flags)
        self._put(parts)

    def _begin_part(self) -> None:
        self._close()
        if self._is_new and is_taken(self.path):
            self._rename()
        check_place(self.path)
        if self._is_new or self._size >= self._part_size:
            _make_room(self.path)
            self._size = 0
            self._is_new = False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A capture holds what people said to each other: it is the owner's to read.
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if self._compressed:
            self._gzip = zlib.compressobj(3, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self._generation += 1
        self._interfaces = 0
        self._offset = time_ns() - monotonic_ns()
        about = {"ws4py_ng.capture": FORMAT, "pid": os.getpid(), "monotonic_offset_ns": self._offset}
        body = _section.pack(0x1A2B3C4D, 1, 0, -1) + option(COMMENT, json.dumps(about).encode())
        body += option(_HARDWARE, platform.machine().encode()) + option(_OS, platform.platform().encode())
        body += option(_APPLICATION, f"ws4py_ng {__version__}".encode()) + _END_OF_OPTIONS
        self._put([block(SECTION, body)])

    def _put(self, parts: Sequence[Buffer]) -> None:
        """Write whole blocks, by one call."""
        if self._gzip is not None:
            parts = [self._gzip.compress(b"".join(parts)), self._gzip.flush(zlib.Z_SYNC_FLUSH)]
        fd = self._fd
        if fd is None:
            return
        try:
            written = _write(fd, parts)
        except OSError as error:
            self._fail(error)
            return
        self._size += written
        if self._grown is not None:
            self._grown(written)

    def _fail(self, error: OSError) -> None:
        """Give up the capture, not the connections."""
        self._broken = True
        self._close()
        logger.error("The capture %s ends here: %s", self.path, error)

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        compressor, self._gzip = self._gzip, None
        if fd is None:
            return
        with suppress(OSError):
            if compressor is not None:
                os.write(fd, compressor.flush())
        with suppress(OSError):
            os.close(fd)

    def _forked(self) -> None:
        """Write into a file of its own: two processes in one would tear blocks apart."""
        self._lock = threading.Lock()
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        self._gzip = None
        self._is_new = True
        self._open_lines = 0
        self._rename()

    def _rename(self) -> None:
        self.path = self.path.with_name(_with_stem(self.path.name, f"-{os.getpid()}"))


def _write(fd: int, parts: Sequence[Buffer]) -> int:
    """Write all, by one call if the system takes it; return how much that is."""
    if len(parts) == 1 or len(parts) > _MAX_PARTS or _writev is None:
        data = b"".join(parts)
        size, written = len(data), os.write(fd, data)
    else:
        size, written = sum(map(len, parts)), _writev(fd, parts)
    while written < size:
        written += os.write(fd, b"".join(parts)[written:])
    return size


def _block(
    line: Line, time: int, outgoing: bool, data: Buffer, length: int, flags: int, note: str | None = None
) -> tuple[Buffer, Buffer, Buffer]:
    """Build an Enhanced Packet Block, in parts; ``length`` is that of the data."""
    head = line.flow.head(outgoing, length, flags)
    size = len(head) + length
    end = _ENDS[outgoing][-size & 3] if note is None else _noted(-size & 3, outgoing, note)
    total = 32 + size + len(end)
    start = _packet.pack(PACKET, total, line.interface, time >> 32 & 0xFFFFFFFF, time & 0xFFFFFFFF, size, size)
    return start + head, data, end + _word.pack(total)


def _noted(padding: int, outgoing: bool, note: str) -> bytes:
    comment = option(COMMENT, note.encode("utf-8", "replace")[:_MAX_NOTE])
    return bytes(padding) + _FLAGS[outgoing] + comment + _END_OF_OPTIONS


def part_path(path: Path, number: int) -> Path:
    """Name a part of a capture; 0 is the one that is written."""
    return path if number == 0 else path.with_name(_with_stem(path.name, f".{number}"))


def _with_stem(name: str, addition: str) -> str:
    """Put something before the suffixes: ``a.wscap.gz`` -> ``a.1.wscap.gz``."""
    suffix = next((each for each in (".wscap.gz", ".wscap") if name.endswith(each)), Path(name).suffix)
    return name[: len(name) - len(suffix)] + addition + suffix


def _make_room(path: Path) -> None:
    """Move each part one on; the last one goes."""
    # Before a part takes its place: ext4 writes a file to the disk when that replaces another.
    part_path(path, PARTS - 1).unlink(missing_ok=True)
    for number in range(PARTS - 1, 0, -1):
        with suppress(FileNotFoundError):
            part_path(path, number - 1).replace(part_path(path, number))


def check_place(path: Path) -> None:
    """Raise OSError if a capture would take the place of something else."""
    for part in (part_path(path, number) for number in range(PARTS)):
        try:
            status = part.stat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EEXIST, "expected a capture, this is no file", str(part))
        if status.st_size and not is_ours(part):
            raise OSError(errno.EEXIST, "expected a capture, this is another file", str(part))


def is_ours(path: Path) -> bool:
    """Tell whether a file is a capture of ours, by how it begins."""
    with path.open("rb") as file:
        begin = file.read(_BEGIN)
    if begin.startswith(_GZIP):
        with suppress(zlib.error):
            begin = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(begin, _BEGIN)
    return begin.startswith(_word.pack(SECTION)) and OURS in begin


def is_taken(path: Path) -> bool:
    """Tell whether somebody writes there. Where files have no locks (Windows) nobody can tell."""
    if fcntl is None or not path.is_file():
        return False
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


_files: dict[str, CaptureFile] = {}
_files_lock = threading.Lock()
_all_files: WeakSet[CaptureFile] = WeakSet()


def open_file(path: Path, max_size: int) -> CaptureFile:
    """Return the file for a path, the same one for all who record there."""
    key = os.path.abspath(path)
    with _files_lock:
        if key not in _files:
            _files[key] = CaptureFile(Path(key), max_size)
        return _files[key]


def _forked() -> None:
    global _files_lock
    _files_lock = threading.Lock()
    for file in list(_all_files):
        file._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
