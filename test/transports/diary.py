"""What hooks saw, told over the wire: the same for a server in this process and in another.

A handler calls `note(tag, hook, **facts)`, which sends a line of JSON to the `Diary` of the test
run. Its address is in the environment, where child processes find it. A ``tag`` is what the test
put into the URL of a connection: ``ws://host/echo?tag=t7``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

__all__ = ["DIARY", "WAIT", "Diary", "Page", "note", "watch_logs"]

DIARY = "WS4PY_NG_CONTRACT_DIARY"
# Only a hang reaches it.
WAIT = 60.0

Entry = dict[str, Any]

_TAG = re.compile(r"\btag=(\w+)")


# In the process of the handlers


class _Pen:
    """Hold the connection to the diary; each process has its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pid = 0
        self.sock: socket.socket | None = None

    def write(self, entry: Entry) -> None:
        line = json.dumps(entry).encode() + b"\n"
        with self.lock:
            if self.sock is None or self.pid != os.getpid():
                host, port = os.environ[DIARY].rsplit(":", 1)
                self.sock = socket.create_connection((host, int(port)))
                self.pid = os.getpid()
            self.sock.sendall(line)

    def close(self) -> None:
        with self.lock:
            if self.sock is not None:
                self.sock.close()
                self.sock = None


_pen = _Pen()


def note(tag: str, hook: str, **facts: Any) -> None:
    """Tell the test what happened to the connection ``tag``."""
    _pen.write({"tag": tag, "hook": hook, **facts})


class _LogNotes(logging.Handler):
    """Note what is logged; whose it is, a ``tag=...`` in the text or in the traceback says."""

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        found = _TAG.search(text)
        note(found[1] if found else "", "log", level=record.levelname, text=text, logger=record.name)


_log_notes = _LogNotes(logging.WARNING)


def watch_logs() -> None:
    """Note every warning and error that ws4py_ng and asyncio log in this process; twice is no harm."""
    for name in ("ws4py_ng", "asyncio"):
        logging.getLogger(name).addHandler(_log_notes)


def unwatch_logs() -> None:
    """Undo `watch_logs`."""
    for name in ("ws4py_ng", "asyncio"):
        logging.getLogger(name).removeHandler(_log_notes)


# In the process of the test


class Diary:
    """Collect the notes of all processes, in their order; one for the whole test run."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}
        self._changed = threading.Condition()
        self._serial = count(1)
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)
        host, port = self._listener.getsockname()
        os.environ[DIARY] = f"{host}:{port}"
        watch_logs()

    def close(self) -> None:
        """Read what is there and stop."""
        unwatch_logs()
        _pen.close()
        os.environ.pop(DIARY, None)
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT)
        self._listener.close()

    def new_page(self) -> Page:
        """Return the page of a connection to come."""
        return Page(self, f"t{next(self._serial)}")

    def untagged(self) -> list[Entry]:
        """Return what was logged about no connection in particular."""
        return self.entries("", "log")

    def entries(self, tag: str, hook: str | None = None) -> list[Entry]:
        """Return what was noted so far."""
        with self._changed:
            found = list(self._entries.get(tag, ()))
        return [entry for entry in found if hook in (None, entry["hook"])]

    def wait_for(self, tag: str, enough: Callable[[], bool], what: str) -> None:
        """Wait until the entries of a page are as they should be."""
        with self._changed:
            if not self._changed.wait_for(enough, WAIT):
                raise AssertionError(f"No {what} within {WAIT:g} s, but {self._entries.get(tag, [])}")

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name="diary", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._read, sock)

    def _read(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as lines:
            for line in lines:
                entry = json.loads(line)
                with self._changed:
                    self._entries.setdefault(entry["tag"], []).append(entry)
                    self._changed.notify_all()


class Page:
    """Read what one connection's hooks saw."""

    def __init__(self, diary: Diary, tag: str) -> None:
        self.diary = diary
        self.tag = tag

    def so_far(self, hook: str | None = None) -> list[Entry]:
        """Return what was noted until now."""
        return self.diary.entries(self.tag, hook)

    def wait(self, hook: str, number: int = 1) -> Entry:
        """Wait for so many entries of a hook; return the last of them."""
        self.diary.wait_for(
            self.tag, lambda: len(self.so_far(hook)) >= number, f"{hook!r} (number {number}) of {self.tag}"
        )
        return self.so_far(hook)[number - 1]
