"""`ws4py-ng serve --workers`, as its users run it, and its peers."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

from test.client.peers import WAIT, frame
from test.many import eventually
from test.programs import WS4PY_NG, Program
from test.pubsub.crowd import Crowd, Face

__all__ = ["APP", "answer", "ask", "gather", "pid", "port_of", "workers"]

APP = "test.workers.site:Member"


def workers(count: int, *arguments: str, app: str = APP, cwd: Path | None = None) -> Program:
    """Start a parent with so many workers, on any free port."""
    command = [*WS4PY_NG, "serve", "--workers", str(count), "--port", "0", "--app", app, *arguments]
    return Program(command, cwd=cwd)


def port_of(program: Program) -> int:
    """Wait for the first line, and take the port out of it."""
    found = re.fullmatch(r"listening on wss?://127\.0\.0\.1:(\d+)/", program.line())
    assert found
    return int(found[1])


def answer(port: int, path: str) -> tuple[int, bytes]:
    """Ask by plain HTTP."""
    connection = HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def pid(face: Face) -> int:
    """Say which worker serves a peer."""
    assert eventually(lambda: face.payloads)
    return int(face.payloads[0].removeprefix(b"pid "))


def ask(face: Face, text: str) -> None:
    """Say something to a worker."""
    face.sock.send(frame(1, text.encode()))


def gather(crowd: Crowd, port: int, count: int, is_enough: Callable[[set[int]], bool]) -> dict[int, list[Face]]:
    """Connect peers, more than ``count`` if need be, until they are spread as they should be."""
    faces = crowd.join(port, count)
    pids = {pid(face) for face in faces}

    def are_spread() -> bool:
        if not is_enough(pids):
            faces.extend(crowd.join(port, 1))
            pids.add(pid(faces[-1]))
        return is_enough(pids)

    assert eventually(are_spread), f"all connections came to {pids}"
    return {each: [face for face in faces if pid(face) == each] for each in pids}
