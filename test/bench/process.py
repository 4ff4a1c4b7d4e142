"""Programs that are measured, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO

from .measure import cpu_ns
from .setup import Setup
from .table import Entry

ROOT = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A program did not do what it is there for."""


class Running:
    """Run a program while a `with` block lasts."""

    def __init__(self, table: str, entry: Entry, setup: Setup) -> None:
        self.entry = entry
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        command = [sys.executable, "-m", "test.bench.serve", table, entry.name, setup.to_json()]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=entry.full_environ(),
            cwd=ROOT,
            text=True,
        )
        self.setup = setup

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def wait_for_port(self) -> None:
        """Wait until a server listens."""
        self.setup = replace(self.setup, port=int(self.read()))

    def read(self) -> str:
        """Read a line that it prints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"{self.entry.name} ended: {self.complaint()}")
        return line.strip()

    def write(self, line: str) -> None:
        """Tell it something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def cpu(self) -> int:
        """Return the nanoseconds that it was on a CPU."""
        return cpu_ns(self.pid)

    def complaint(self) -> str:
        """Return the end of what it wrote to stderr."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._errors.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()


def imports(module: str, bytecode: str) -> tuple[int, list[str]]:
    """Import a module in a new process: return the nanoseconds on a CPU, and the names of what came with it.

    ``bytecode`` is the folder where Python looks for what it has compiled, and puts it: what was
    installed has its own already, what is imported from a checkout has it if the environment lets it.
    """
    code = (
        "import sys, time; before = set(sys.modules); begun = time.process_time_ns()\n"
        f"import {module}\n"
        "print(time.process_time_ns() - begun, *sorted(set(sys.modules) - before))"
    )
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = bytecode
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
    first, *names = done.stdout.split()
    return int(first), names
