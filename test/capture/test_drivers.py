"""Every recording replays byte by byte through every transport's driver, masks included."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from test.capture.provided import CLIENT, DRIVERS, Drive, Talks, check, recordings
from test.recordings.make import HERE
from test.recordings.scenes import SCENES
from test.server.test_geventserver import play
from test.server.wsgi_hosts import python_of
from ws4py_ng.capture import read, replay
from ws4py_ng.capture.cuts import SPLITS
from ws4py_ng.capture.model import Inspection, MessageRow, inspect
from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.codes import CLOSE
from ws4py_ng.server.asgi import WebSocketApplication
from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket, WebSocket


class Client(WebSocketClient):
    """Be `Talks` with a URL."""

    opened, received_message = Talks.opened, Talks.received_message


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record a client, whose frames are masked and deflated."""
    path = tmp_path_factory.mktemp("client") / "trace.wscap"
    with serve(EchoWebSocket, "127.0.0.1", 0, capture=False) as server:
        server.start()
        client: Any = Client(f"ws://127.0.0.1:{server.port}/", capture=path)
        client.connect()
        client.run_forever()
    return path


@pytest.fixture(scope="module", params=DRIVERS)
def drive(request: pytest.FixtureRequest) -> Iterator[Drive]:
    with DRIVERS[request.param]() as found:
        yield found


@pytest.mark.parametrize("name", [*SCENES, CLIENT])
def test_every_driver_sends_the_same_bytes(drive: Drive, name: str, trace: Path) -> None:
    check(drive, recordings(name, trace))


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_greenlets_send_the_same_bytes(library: str, trace: Path) -> None:
    python = python_of(library)
    if python is None:
        pytest.skip("eventlet has no environment: `make test` makes .venv-legacy")
    warnings = "error" if library == "gevent" else "ignore"
    play("test.capture.provided", library, str(trace), python=python, warnings=warnings)


# What ASGI does not show an application: frames, Pings, and what breaks a rule.
NOT_ASGI = ("fragments", "violation_by_server", "violation_by_client", "violation_utf8")


@pytest.mark.parametrize("name", [name for name in SCENES if name not in NOT_ASGI])
def test_an_application_of_asgi_sends_the_same_messages(name: str) -> None:
    found = inspect(read(HERE / f"{name}.wscap.gz").connection())
    sent = asyncio.run(by_asgi(found, SCENES[name].app, SCENES[name].options.get("protocols")))
    said = [{"text" if row.is_text else "bytes": row.text if row.is_text else row.data} for row in answers(found)]
    closes = [{"code": 4002, "reason": "the server has had enough"}] if name == "close_by_server" else []
    assert ["websocket.accept"] == [event.pop("type") for event in sent[:1]]
    assert [{"type": "websocket.send"} | each for each in said] == sent[1 : 1 + len(said)]
    assert [{"type": "websocket.close"} | each for each in closes] == sent[1 + len(said) :]


def answers(found: Inspection) -> list[MessageRow]:
    return [row for row in found.messages if not row.from_client]


async def by_asgi(found: Inspection, app: type[WebSocket], protocols: Any) -> list[dict[str, Any]]:
    """Be the host of an application: give it the messages of the recorded client, then its Close."""
    request = found.conversation.request
    assert request is not None
    closes = [row.frame.payload for row in found.frames if row.from_client and row.frame.opcode == CLOSE]
    code = int.from_bytes(closes[0][:2] or b"\x03\xed", "big") if closes else 1006
    events: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    for row in found.messages:
        if row.from_client:
            data = {"text": row.text} if row.is_text else {"bytes": row.data}
            events.append({"type": "websocket.receive"} | data)
    events.append({"type": "websocket.disconnect", "code": code, "reason": ""})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    path, _, query = request.target.partition("?")
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers]
    scope = {"type": "websocket", "path": path, "query_string": query.encode(), "headers": headers, "scheme": "ws"}
    await WebSocketApplication(app, protocols=protocols or ())(scope, receive, send)
    return sent


@pytest.mark.parametrize("splits", SPLITS)
def test_the_client_replays_in_memory_as_well(splits: Any, trace: Path) -> None:
    keys = {chunk.data[2:6] for chunk in read(trace).connection().chunks[2:] if chunk.outgoing and chunk.data}
    assert len(keys - {bytes(4)}) >= 2
    replay(trace, Talks, splits=splits).check()
