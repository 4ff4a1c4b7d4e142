"""Programs as their users run them: each in a process of its own, its lines awaited, never slept for."""

from __future__ import annotations

import codecs
import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parent.parent
WAIT = 60.0  # only a hang takes that long
WS4PY_NG = (sys.executable, "-W", "error", "-m", "ws4py_ng")


def environment(**changes: str) -> dict[str, str]:
    """Make an environment in which the package is found, whatever the current directory is."""
    kept = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def run(
    command: Sequence[str], given: bytes = b"", *, cwd: Path | None = None, **changes: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end."""
    return subprocess.run(
        command, input=given, capture_output=True, timeout=WAIT, cwd=cwd, env=environment(**changes), check=False
    )


class Program:
    """Run a program, read its lines, and end it when the `with` ends."""

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None, **changes: str) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environment(PYTHONUNBUFFERED="1", **changes),
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        for reader in self._readers:
            reader.join(WAIT)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.decode().rstrip("\n"))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors.append(line.decode().rstrip("\n"))

    def line(self) -> str:
        """Wait for the next line of standard output."""
        line = self._lines.get(timeout=WAIT)
        if line is None:
            raise AssertionError(f"no more output; on standard error: {self.errors()}")
        return line

    def write(self, data: bytes) -> None:
        """Write to standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close_input(self) -> None:
        """End standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def send_signal(self, number: int = signal.SIGINT) -> None:
        """Send a signal; SIGINT is what Ctrl-C does."""
        self.process.send_signal(number)

    def status(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(WAIT)

    def has_complained(self, text: str) -> bool:
        """Tell whether a line of standard error has had a text, so far."""
        return any(text in line for line in self._errors.copy())

    def errors(self) -> list[str]:
        """Wait for the end; return the lines of standard error."""
        self.process.wait(WAIT)
        self._readers[1].join(WAIT)
        return self._errors


PROMPT = "> "  # of `connect`
# A controlling terminal belongs to the session whose leader opens it first.
TAKE_TERMINAL = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"


class Screen:
    """Run a program at a terminal of its own."""

    def __init__(self, command: Sequence[str], **changes: str) -> None:
        self._master, slave = os.openpty()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.seen = ""
        self._from = 0
        wrapped = [sys.executable, "-c", TAKE_TERMINAL, *command]
        settings: dict[str, Any] = {"stdin": slave, "stdout": slave, "stderr": slave, "start_new_session": True}
        variables = environment(**{"TERM": "xterm", "INPUTRC": os.devnull, **changes})
        self.process = subprocess.Popen(wrapped, env=variables, **settings)
        os.close(slave)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def expect(self, text: str) -> None:
        """Wait until a text has appeared behind what was expected before."""
        deadline = time.monotonic() + WAIT
        while (found := self.seen.find(text, self._from)) < 0:
            data = b""
            if select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0]:
                with contextlib.suppress(OSError):  # Linux: the other side is closed
                    data = os.read(self._master, 4096)
            if not data:
                raise AssertionError(f"expected {text!r}, got {self.seen[self._from :]!r}")
            self.seen += self._decoder.decode(data)
        self._from = found + len(text)

    def status(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(WAIT)

    def close(self) -> None:
        """End the program if it still runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT)
        os.close(self._master)


@contextlib.contextmanager
def screen(*arguments: str, **changes: str) -> Iterator[Screen]:
    """Run `ws4py-ng` at a terminal."""
    made = Screen([*WS4PY_NG, *arguments], **changes)
    try:
        yield made
    finally:
        made.close()
