"""What a program says about captures, in one place for all servers and clients.

``capture=`` takes a path, a directory, a function or a `Capture`; None asks the environment.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from time import time
from typing import Any, Final, TypeAlias

from ..handshake import Request
from .directory import directory
from .redaction import SECRET
from .tap import Tap
from .untapped import NO_TAP, AnyTap
from .writing import PARTS, CaptureFile, check_place, open_file

__all__ = ["ENVIRONMENT", "Capture", "CaptureOption", "Target", "open_tap", "settings_of"]

ENVIRONMENT: Final = "WS4PY_NG_CAPTURE"
"""Names a file or a directory for every server and client that has no ``capture=`` of its own."""

MIB: Final = 1024 * 1024

Target: TypeAlias = str | os.PathLike[str] | Callable[[Request | None], "str | os.PathLike[str] | None"]


@dataclass(frozen=True, slots=True)
class Capture:
    """Say where and how connections are recorded.

    ``target`` is a file for all connections; a directory (that exists, or whose name ends with a
    slash), in which each has a file of its own; or a function that is called with the `Request` of
    each connection, None if it cannot be read, and returns the path of a file, or None: not this one.
    A file that ends with ``.gz`` is compressed, at the price of the time that takes.

    ``max_size`` bounds the bytes of all parts of a file together; a part may be longer by one read or write,
    which is not divided. Of a directory the files that were written the longest time ago go when all have about
    that size; those that are being written stay, and a connection has at most a quarter of it.

    ``redact`` names headers and query parameters whose values are secret, beside Authorization,
    Proxy-Authorization, Cookie and Set-Cookie; what follows another answer than 101 is asterisks as well.
    ``keep_secrets`` records all as it is.

    Raises ValueError for a target that is none, a size that no block fits in, and names that are no strings.
    """

    target: Target
    max_size: int = 256 * MIB
    redact: Sequence[str] = ()
    keep_secrets: bool = False

    def __post_init__(self) -> None:
        if not callable(self.target):
            _path(self.target)
        if not isinstance(self.max_size, int) or self.max_size < 64 * 1024:
            raise ValueError(f"max_size is {self.max_size!r}, expected 65536 bytes or more, an int")
        names = self.redact
        if (
            isinstance(names, str)
            or not isinstance(names, Collection)
            or not all(isinstance(each, str) for each in names)
        ):
            raise ValueError(f"redact is {names!r}, expected a list of names")

    def tap(self, about: dict[str, Any], local: Any, peer: Any) -> Tap:
        """Begin to record one connection; it is for those who make transports."""
        secrets = () if self.keep_secrets else (*SECRET, *self.redact)
        about = {**about, "redacted": sorted(secrets)}
        return Tap(self.open, about, local, peer, secrets)

    def open(self, request: Request | None) -> CaptureFile | None:
        """Find the file for a connection."""
        target = self.target(request) if callable(self.target) else self.target
        if target is None:
            return None
        path = _path(target)
        if _is_directory(target):
            counted = directory(Path(os.path.abspath(path)), self.max_size)
            return CaptureFile(path / _new_name(), self.max_size // PARTS, counted.grown)
        return open_file(path, self.max_size)

    def check(self) -> None:
        """Raise OSError for a file or a directory that could not be written; a function is not asked."""
        if callable(self.target):
            return
        path = _path(self.target)
        folder = path if _is_directory(self.target) else path.parent
        if folder is not path:
            check_place(path)
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


CaptureOption: TypeAlias = Target | Capture | bool | None


def settings_of(option: CaptureOption) -> Capture | None:
    """Read the option of a server or client; None when nothing is to be recorded.

    None asks the environment, False does not. Raises ValueError for True, which says nothing of where.
    """
    if option is None:
        option = os.environ.get(ENVIRONMENT) or False
    if option is False:
        return None
    if option is True or not (isinstance(option, str | os.PathLike | Capture) or callable(option)):
        raise ValueError(f"capture is {option!r}, expected a path, a directory, a function or a Capture")
    return option if isinstance(option, Capture) else Capture(option)


def _path(target: Any) -> Path:
    """Take a target for a path; raise ValueError for what is none."""
    try:
        is_path = bool(os.fsencode(target)) and "\0" not in os.fspath(target)
    except (TypeError, UnicodeEncodeError):  # bytes among them
        is_path = False
    if not is_path:
        raise ValueError(f"the target of a capture is {target!r}, expected a path, a directory or a function")
    return Path(target)


def _is_directory(target: str | os.PathLike[str]) -> bool:
    return os.path.isdir(target) or os.fspath(target).endswith(("/", os.sep))


def open_tap(
    capture: Capture | None,
    role: str,
    transport: str,
    local: Any = None,
    peer: Any = None,
    *,
    secure: bool = False,
    deflate: object = None,
    rebuilt: bool = False,
) -> AnyTap:
    """Begin to record one connection, or return what records nothing.

    ``deflate`` is what was set for compression: a replay needs it, as what is worth it is not on the wire.
    ``rebuilt`` says that the heads are not as they were on the wire.
    """
    if capture is None:
        return NO_TAP
    about: dict[str, Any] = {"role": role, "transport": transport, "secure": secure}
    about |= {"local": _shown(local), "peer": _shown(peer)}
    if rebuilt:
        about["rebuilt"] = True
    if deflate is not None and is_dataclass(deflate) and not isinstance(deflate, type):
        about["deflate"] = asdict(deflate)
    return capture.tap(about, local, peer)


def _shown(address: Any) -> Any:
    if isinstance(address, tuple):
        return list(address[:2])
    return address.decode("utf-8", "replace") if isinstance(address, bytes) else address or None


_serial = count(1)


def _new_name() -> str:
    """Name a file so that names sort by time and no two are the same."""
    return f"{datetime.fromtimestamp(time()):%Y%m%d-%H%M%S-%f}-{os.getpid()}-{next(_serial)}.wscap"
