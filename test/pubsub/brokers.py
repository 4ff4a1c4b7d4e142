"""Real brokers: started on a free port, killed, and started again where they were."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from test.client.peers import WAIT
from test.many import eventually

__all__ = ["Broker", "nats_server", "redis_server"]

# Debian puts nats-server where only root looks.
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def find(name: str) -> str:
    """Find a broker's program; .ci/run installs it."""
    found = shutil.which(name, path=PATH)
    assert found is not None, f"{name} is missing: apt-get install {name}"
    return found


class Broker:
    """Hold a server process; ``url`` stays the same when it is started again."""

    def __init__(self, scheme: str, command: list[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._command = [part.format(port=self.port) for part in command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert eventually(self._answers), f"{self._command} does not listen"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._command} has ended with {self._process.returncode}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.sendall(b"PING\r\n")
                sock.settimeout(1)
                return sock.recv(4096).startswith((b"+PONG", b"INFO "))
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a crash would: kill -9."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(WAIT)


@contextmanager
def running(broker: Broker) -> Iterator[Broker]:
    """Run a broker while the `with` lasts."""
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


def redis_server(directory: Path, *options: str) -> Any:
    """Run a Redis that writes down what it is told before it says so."""
    command = [find("redis-server"), "--port", "{port}", "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
    return running(Broker("redis", [*command, "--appendonly", "yes", "--appendfsync", "everysec", *options]))


def nats_server(directory: Path) -> Any:
    """Run a NATS."""
    return running(Broker("nats", [find("nats-server"), "-a", "127.0.0.1", "-p", "{port}", "-sd", str(directory)]))
