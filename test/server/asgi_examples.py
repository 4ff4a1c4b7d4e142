"""The examples of ASGI and aiohttp as their users run them: each a process, and what it answers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from test.programs import ROOT, Program

from .asgi_hosts import HOSTS, Host, Running

__all__ = ["EXAMPLES", "Example", "program"]

FOLDER = ROOT / "example"


@dataclass(frozen=True)
class Example:
    """Name an example: where its WebSocket and a page are, what it answers to a text.

    ``host`` serves it by its own command; without one it is a program. ``echoes``: bytes come back.
    """

    name: str
    path: str = "/echo"
    page: str = "/"
    answer: str = "grüße"
    echoes: bool = True
    host: Host | None = None

    @property
    def code(self) -> int:
        """What a Close with 4321 is answered by."""
        return 4321 if self.host is None or self.host.answers_code else 1000

    def __str__(self) -> str:
        return self.name if self.host is None else f"{self.name}-{self.host}"

    def missing(self) -> list[str]:
        """Name the libraries that it needs and that are not here."""
        needs = self.host.needs if self.host is not None else ("uvicorn", self.name.partition("_")[0])
        return [name for name in needs if find_spec(name) is None]

    @contextmanager
    def run(self) -> Iterator[str]:
        """Serve it; yield its host and port. It ends well when it is told to."""
        if self.host is not None:
            with Running(self.host, f"{self.name}:app", FOLDER) as running:
                yield f"127.0.0.1:{running.port}"
                # A shell that starts us in the background has SIGINT ignored, and some hosts leave it at that.
                running.process.send_signal(signal.SIGTERM)
                assert running.process.wait(30) in (0, -signal.SIGTERM), running.lines
        else:
            with program(self.name) as (address, _):
                yield address


@contextmanager
def program(name: str) -> Iterator[tuple[str, Program]]:
    """Run an example that is a program; yield its host and port. It ends well at Ctrl-C."""
    with Program([sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), "0"]) as started:
        yield started.line().removeprefix("listening on ws://").rstrip("/"), started
        started.send_signal(signal.SIGINT)
        assert (0, []) == (started.status(), started.errors())


EXAMPLES = (
    Example("aiohttp_echo"),
    Example("starlette_echo"),
    Example("fastapi_chat", "/room/", "/openapi.json", echoes=False),
    Example("django_echo"),
    Example("quart_echo"),
    Example("uvicorn_frames", "/", answer="the pong came back: grüße", echoes=False),
    *(Example("asgi_echo", host=host) for host in HOSTS),
)
