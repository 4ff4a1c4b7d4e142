"""Programs of anyio use the client and the server of the library that runs them; all of anyio works in there."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import anyio
import pytest

from ws4py_ng.client import asyncioclient, trioclient
from ws4py_ng.server import asyncioserver, trioserver

# Only a hang reaches it.
WAIT = 60.0
BACKENDS = [
    pytest.param("asyncio", asyncioclient, asyncioserver, id="asyncio"),
    pytest.param("trio", trioclient, trioserver, id="trio"),
]


async def send(ws: Any, text: str) -> None:
    await ws.send(text)


async def greet(ws: Any) -> None:
    async for message in ws:
        with anyio.fail_after(WAIT):
            await anyio.sleep(0)
            await ws.send(f"hello {message}")


@pytest.mark.parametrize(("backend", "client", "server"), BACKENDS)
def test_its_tasks_send_and_receive(backend: str, client: ModuleType, server: ModuleType) -> None:
    ended: list[str] = []

    async def receive_all(ws: Any) -> None:
        ended.extend([str(message) async for message in ws])

    async def main() -> None:
        async with server.serve(greet, port=0) as serving, client.connect(f"ws://127.0.0.1:{serving.port}/") as ws:
            async with anyio.create_task_group() as group:
                for name in ("Ada", "Bob"):
                    group.start_soon(send, ws, name)
            found = [str(await ws.receive(timeout=WAIT)) for _ in range(2)]
            assert ["hello Ada", "hello Bob"] == sorted(found)
            async with anyio.create_task_group() as group:
                group.start_soon(receive_all, ws)
                await anyio.wait_all_tasks_blocked()
                await ws.close()
        assert [] == ended

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(("backend", "client", "server"), BACKENDS)
def test_its_scopes_cancel_a_receive_and_nothing_is_lost(backend: str, client: ModuleType, server: ModuleType) -> None:
    async def main() -> None:
        async with server.serve(greet, port=0) as serving, client.connect(f"ws://127.0.0.1:{serving.port}/") as ws:
            async with anyio.create_task_group() as group:
                group.start_soon(ws.receive)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            with anyio.move_on_after(0) as scope:
                await ws.receive()
            assert scope.cancelled_caught
            await ws.send("Ada")
            with anyio.fail_after(WAIT):
                assert "hello Ada" == str(await ws.receive())

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(("backend", "client", "server"), BACKENDS)
def test_its_scopes_end_a_server(backend: str, client: ModuleType, server: ModuleType) -> None:
    async def serve_one(scope: anyio.CancelScope) -> None:
        with scope:
            async with server.serve(greet, port=0) as serving, client.connect(f"ws://127.0.0.1:{serving.port}/") as ws:
                await ws.receive()

    async def main() -> None:
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            group.start_soon(serve_one, scope)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
        assert scope.cancelled_caught

    anyio.run(main, backend=backend)
