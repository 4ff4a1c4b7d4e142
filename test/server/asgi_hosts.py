"""ASGI servers as processes of their own, and what each of them can and cannot do."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from test.programs import WAIT, environment

__all__ = ["DOCS", "HOSTS", "Host", "Running", "docs_page", "missing"]

PYTHON = (sys.executable, "-m")


@dataclass(frozen=True)
class Host:
    """Hold a server: its command, where {port} and {app} are put in, and its abilities.

    ``denies``: it has the extension websocket.http.response, without which every refusal is a 403.
    ``reasons_to_peer``, ``reasons_from_peer``: it passes close reasons; ``from_peer``: the code of a peer.
    ``answers_code``: it answers a Close by the same code, not by 1000. ``empties``: it passes empty
    messages. ``headers``: it sends those of the accept. ``early``: it keeps a frame that comes in one
    segment with the request. ``too_big``: what is sent for a message beyond the application's limit.
    ``ends``: what peers get at SIGTERM. Both are None for nothing.
    """

    name: str
    command: tuple[str, ...]
    ready: str
    needs: tuple[str, ...]
    denies: bool = True
    reasons_to_peer: bool = True
    from_peer: bool = True
    reasons_from_peer: bool = True
    answers_code: bool = True
    empties: bool = True
    early: bool = False
    headers: bool = True
    too_big: int | None = 1009
    ends: int | None = 1012

    def __str__(self) -> str:
        return self.name


def _uvicorn(name: str, *options: str, needs: tuple[str, ...] = (), ends: int = 1012) -> Host:
    command = (*PYTHON, "uvicorn", "--port", "{port}", *options, "{app}")
    return Host(name, command, "Uvicorn running", ("uvicorn", *needs), ends=ends)


_HYPERCORN = (*PYTHON, "hypercorn", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "1")
OURS = ("--ws", "ws4py_ng.server.uvicorn:WSProtocol")

HOSTS = (
    _uvicorn("uvicorn-sansio", "--ws", "websockets-sansio"),
    _uvicorn("uvicorn-wsproto", "--ws", "wsproto", needs=("wsproto",)),
    _uvicorn("uvicorn-ours-h11-asyncio", *OURS, "--http", "h11", "--loop", "asyncio", ends=1001),
    _uvicorn(
        "uvicorn-ours-httptools-uvloop",
        *(*OURS, "--http", "httptools", "--loop", "uvloop"),
        needs=("uvloop", "httptools"),
        ends=1001,
    ),
    Host("hypercorn", (*_HYPERCORN, "{app}"), "Running on", ("hypercorn",), from_peer=False, ends=1001),
    Host(
        "hypercorn-trio",
        (*_HYPERCORN, "--worker-class", "trio", "{app}"),
        "Running on",
        ("hypercorn", "trio"),
        from_peer=False,
        ends=1001,
    ),
    Host(
        "granian",
        (*PYTHON, "granian", "--interface", "asgi", "--port", "{port}", "{app}"),
        "Started worker",
        ("granian",),
        reasons_from_peer=False,
        early=True,
        headers=False,
        ends=None,
    ),
    Host(
        "daphne",
        (*PYTHON, "daphne", "--port", "{port}", "{app}"),
        "Listening on",
        ("daphne",),
        denies=False,
        answers_code=False,
        reasons_to_peer=False,
        reasons_from_peer=False,
        empties=False,
        headers=False,
        too_big=None,
        ends=None,
    ),
)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Running:
    """Run an application under a host until the `with` ends; ``lines`` are what both printed."""

    def __init__(self, host: Host, app: str, cwd: Path | None = None) -> None:
        self.host = host
        self.port = _free_port()
        command = [part.format(port=self.port, app=app) for part in host.command]
        variables = environment(PYTHONUNBUFFERED="1")
        # A session of its own: some hosts have workers, which outlive a parent that is killed.
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=variables, start_new_session=True, cwd=cwd
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Running:
        with contextlib.ExitStack() as undo:
            undo.push(self)
            self.wait_line(self.host.ready)
            deadline = time.monotonic() + WAIT
            while not self._accepts():  # granian says that it is ready a moment before it listens
                assert time.monotonic() < deadline, f"{self.host} does not listen: {self.lines}"
            undo.pop_all()
        return self

    def _accepts(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(WAIT)
        self._reader.join(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.decode().rstrip("\n"))
        self._lines.put(None)

    def wait_line(self, pattern: str) -> str:
        """Wait for a line that matches; return it."""
        while True:
            line = self._lines.get(timeout=WAIT)
            if line is None:
                raise AssertionError(f"{self.host} printed no {pattern!r}: {self.lines}")
            self.lines.append(line)
            if re.search(pattern, line):
                return line


def missing(host: Host) -> list[str]:
    """Name the libraries that a host needs and that are not here."""
    return [name for name in host.needs if find_spec(name) is None]


# The docs

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "asgi.md"
BEGIN, END = "<!-- made by test.server.asgi_hosts -->", "<!-- end of what was made -->"
COLUMNS: dict[str, Callable[[Host], str]] = {
    "a refusal is": lambda host: "its status and body" if host.denies else "403",
    "headers of the accept": lambda host: "sent" if host.headers else "dropped",
    "a frame in the segment of the request": lambda host: "kept" if host.early else "lost or refused",
    "empty messages": lambda host: "pass" if host.empties else "are lost",
    "our close reason": lambda host: "sent" if host.reasons_to_peer else "dropped",
    "`closed` gets the peer's": lambda host: (
        "1006" if not host.from_peer else "code and reason" if host.reasons_from_peer else "code"
    ),
    "a Close with 4321 is answered by": lambda host: "4321" if host.answers_code else "1000",
    "a message too big": lambda host: str(host.too_big or "no Close, the end"),
    "peers get at SIGTERM": lambda host: str(host.ends or "no Close, the end"),
}


def docs_page() -> str:
    """Return the page as it should be."""
    lines = [f"| | {' | '.join(map(str, HOSTS))} |", "| --- |" + " --- |" * len(HOSTS)]
    lines += [f"| {title} | {' | '.join(map(cell, HOSTS))} |" for title, cell in COLUMNS.items()]
    before, _, rest = DOCS.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{chr(10).join(lines)}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCS.write_text(docs_page(), "utf-8")
