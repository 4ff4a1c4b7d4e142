"""The same conversations by two witnesses: our capture, and the flows of a mitmdump between client and server."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test.capture.recorded import Talker
from test.programs import ROOT, WAIT, WS4PY_NG, Program, environment, run
from test.recordings.scenes import ClosesFirst
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket

# mitmproxy has an environment of its own: it wants older versions of what the peers of other tests are made of.
PYTHON = os.environ.get("WS4PY_NG_MITMPROXY_PYTHON", str(ROOT / ".venv-mitmproxy" / "bin" / "python"))


class Asks(WebSocketClient):
    """Say one thing, and let the server close."""

    def opened(self) -> None:
        self.send("bye?")


def through_mitmdump(path: Path, port: int) -> Iterator[str]:
    """Let a mitmdump write flows; give its URL, then wait until it has written as many as there were."""
    options = ["--listen-host", "127.0.0.1", "--listen-port", "0", "--set", f"confdir={path.parent / 'conf'}"]
    command = [str(Path(PYTHON).with_name("mitmdump")), "--mode", f"reverse:http://127.0.0.1:{port}", "-w", str(path)]
    with Program([*command, *options]) as program:
        address = re.search(r"listening at (127\.0\.0\.1:\d+)", program.line())
        assert address
        yield f"ws://{address[1]}/room?x=1"
        yield f"ws://{address[1]}/bye"
        for _ in range(2):
            while "client disconnect" not in program.line():
                pass
        program.send_signal(signal.SIGTERM)
        program.status()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record two conversations: text, binary, fragments and deflate, closed by the client; and by the server."""
    if not Path(PYTHON).exists():
        pytest.skip("mitmproxy has no environment: `make test` makes .venv-mitmproxy")
    folder = tmp_path_factory.mktemp("mitm")
    handlers = {"/room": EchoWebSocket, "/bye": ClosesFirst}
    with serve(handlers, "127.0.0.1", 0, capture=folder / "ours.wscap") as server:
        server.start()
        urls = through_mitmdump(folder / "flows", server.port)
        for kind, url in zip((Talker, Asks), urls, strict=False):
            client: Any = kind(url, capture=False, headers={"Authorization": "Bearer abc"})
            client.connect()
            client.run_forever()
        assert [] == list(urls)
    return folder


def rows(done: subprocess.CompletedProcess[bytes]) -> list[list[dict[str, Any]]]:
    """Give the rows of each connection, that of the connection first."""
    assert (0, b"") == (done.returncode, done.stderr)
    found: list[list[dict[str, Any]]] = []
    for row in map(json.loads, done.stdout.decode().splitlines()):
        found += [[]] if row["row"] == "connection" else []
        found[-1].append(row)
    return found


def messages(connection: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Give what both sides said; how the two interleave depends on where one looks."""
    found = [tuple(row[name] for name in ("from", "kind", "size", "data")) for row in connection[1:]]
    return sorted(found, key=lambda row: str(row[0]))


def test_flows_have_the_messages_of_our_capture(folder: Path) -> None:
    shown = ["-m", "ws4py_ng", "inspect", "--messages", "--json"]
    ours = rows(run([*WS4PY_NG, *shown[2:], str(folder / "ours.wscap")]))
    theirs = rows(run([PYTHON, *shown, str(folder / "flows")]))
    assert [(6, 2), (6, 2)] == [tuple(len(each) - 1 for each in found) for found in (ours, theirs)]
    assert [messages(each) for each in ours] == [messages(each) for each in theirs]
    assert [
        "by the client: 1000 (normal closure) done",
        "by the server: 4002 (application) the server has had enough",
    ] == [each[0]["close"] for each in theirs]
    assert "permessage-deflate" in json.dumps(ours[0][0])
    assert ["GET", "/room?x=1"] == theirs[0][0]["request"][:2]
    assert "mitmproxy" == theirs[0][0]["connection"]["transport"]


DAMAGE = """
import json, random, sys
from pathlib import Path
from ws4py_ng.capture import CaptureError
from ws4py_ng.capture.mitm import read_flows
from ws4py_ng.capture.model import inspect

whole, path = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
first = int(whole[: whole.index(b":")]) + whole.index(b":") + 2

def read(data):
    path.write_bytes(data)
    try:
        found = read_flows(path)
    except CaptureError as error:
        assert "cannot be read, at byte 0: a flow that cannot be read" in str(error), error
        return 0, 0
    for connection in found.connections:
        json.dumps(inspect(connection).to_dict(), allow_nan=False)
    return len(found.connections), len(found.problems)

assert read(whole) == (2, 0)
for size in range(1, len(whole), 997):
    assert read(whole[:size]) == ((0, 0) if size < first else (1, 1)), size
chance = random.Random(6)
for _ in range(300):
    damaged = bytearray(whole)
    for _ in range(chance.randint(1, 8)):
        # Behind the first flow most of all, whose 400 KiB are messages.
        at = chance.choice((chance.randrange(300), first + chance.randrange(len(whole) - first)))
        damaged[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
    read(bytes(damaged))
"""


def test_flows_that_are_cut_or_damaged_are_read_as_far_as_that_goes(folder: Path, tmp_path: Path) -> None:
    command = [PYTHON, "-W", "error", "-c", DAMAGE, str(folder / "flows"), str(tmp_path / "damaged")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, env=environment(), check=False)
    assert (0, "") == (done.returncode, done.stderr)


def test_without_the_library_the_way_out_is_said(tmp_path: Path) -> None:
    (tmp_path / "flows").write_bytes(b"412271:9:websocket;410106:13:timestamp_end;")
    done = run([*WS4PY_NG, "inspect", str(tmp_path / "flows")])
    assert 1 == done.returncode
    assert b"pip install 'ws4py-ng[mitmproxy]'" in done.stderr
