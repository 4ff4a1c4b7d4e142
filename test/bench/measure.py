"""What a process costs: CPU time of all its threads, and memory. Linux only."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

from .network import congestion_control

# The clock of a process, from its id, as clock_getcpuclockid(3) makes it.
CPUCLOCK_SCHED = 2


def cpu_ns(pid: int) -> int:
    """Return the nanoseconds that a process has been on a CPU.

    It is the sum of the first figures of ``/proc/PID/task/*/schedstat``, and of the threads that
    have ended, which are not listed there any more.
    """
    return time.clock_gettime_ns(~pid << 3 | CPUCLOCK_SCHED)


def schedstat_ns(pid: int) -> int:
    """Return the same of the threads that are alive, by the files."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def pss_bytes(pid: int) -> int:
    """Return the memory of a process, of what it shares its share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/{pid}/smaps_rollup has no line Pss")


def settle(pid: int, quiet: float = 0.02, patience: float = 10.0) -> None:
    """Wait until a process has nothing to do: it was on no CPU for a while."""
    deadline = time.monotonic() + patience
    before = -1
    while time.monotonic() < deadline:
        now = cpu_ns(pid)
        if now - before < quiet * 1e9 / 100:
            return
        before = now
        time.sleep(quiet)


def machine() -> dict[str, str | int | None]:
    """Name the machine."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "tcp": congestion_control(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
