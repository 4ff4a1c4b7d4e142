"""The part of LXD's REST API that runs commands and tells of events: ``python -m test.shims.sites.lxd WHERE``.

WHERE is the path of a unix socket, or "tls" for a port of 127.0.0.1 with the certificate of the contract.
What it serves is in LXD's documentation: /1.0, /1.0/instances/NAME, its exec with one WebSocket for each of
stdin, stdout and stderr, /1.0/operations/ID with wait, and /1.0/events. The instance is this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

from aiohttp import WSMsgType, web

from test.transports.tls import server_context

EVENTS = [
    {"type": "lifecycle", "metadata": {"action": "instance-started", "source": "/1.0/instances/c1"}},
    {"type": "logging", "metadata": {"message": "h\u00e9llo", "level": "info"}},
]


class Operation:
    """Run a command, when somebody is there for its stdin, stdout and stderr."""

    def __init__(self, number: int, asked: dict[str, Any]) -> None:
        self.id = f"00000000-0000-0000-0000-{number:012}"
        self.asked = asked
        self.sockets = {fd: asyncio.get_running_loop().create_future() for fd in ("0", "1", "2")}
        self.left = {fd: asyncio.Event() for fd in self.sockets}
        self.running = asyncio.create_task(self.run())

    def described(self, code: int, **metadata: Any) -> dict[str, Any]:
        """Describe it as LXD does; 103 is running, 200 done."""
        return {"id": self.id, "class": "websocket", "status_code": code, "metadata": metadata, "err": ""}

    async def run(self) -> int:
        """Run the command to its end; return its exit status."""
        stdin, stdout, stderr = [await each for each in self.sockets.values()]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self.asked["command"], stdin=pipe, stdout=pipe, stderr=pipe)
        await asyncio.gather(
            give(stdin, process.stdin), take(process.stdout, stdout), take(process.stderr, stderr), process.wait()
        )
        return int(process.returncode or 0)


async def give(ws: Any, pipe: Any) -> None:
    """Write what comes to the command's stdin; an empty text ends it."""
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            break
        pipe.write(message.data)
        with contextlib.suppress(ConnectionError):
            await pipe.drain()
    pipe.close()


async def take(pipe: Any, ws: Any) -> None:
    """Send what the command writes, and behind its end an empty text."""
    while data := await pipe.read(65536):
        await ws.send_bytes(data)
    await ws.send_str("")


class Site:
    """Be the API."""

    def __init__(self) -> None:
        self.operations: dict[str, Operation] = {}

    def application(self) -> web.Application:
        """Make the application."""
        made = web.Application()
        made.add_routes(
            [
                web.get("/1.0", self.server),
                web.get("/1.0/instances/{name}", self.instance),
                web.post("/1.0/instances/{name}/exec", self.execute),
                web.get("/1.0/operations/{id}", self.operation),
                web.get("/1.0/operations/{id}/wait", self.wait),
                web.get("/1.0/operations/{id}/websocket", self.join),
                web.get("/1.0/events", self.events),
            ]
        )
        return made

    async def server(self, _: web.Request) -> web.Response:
        return sync({"api_extensions": [], "auth": "trusted", "environment": {"server": "lxd"}})

    async def instance(self, request: web.Request) -> web.Response:
        return sync({"name": request.match_info["name"], "status": "Running", "type": "container"})

    async def execute(self, request: web.Request) -> web.Response:
        operation = Operation(len(self.operations), await request.json())
        self.operations[operation.id] = operation
        metadata = operation.described(103, fds={fd: f"secret-{fd}" for fd in operation.sockets})
        body = {"type": "async", "operation": f"/1.0/operations/{operation.id}", "metadata": metadata}
        return web.json_response(body, status=202)

    async def operation(self, request: web.Request) -> web.Response:
        return sync(self.operations[request.match_info["id"]].described(103))

    async def wait(self, request: web.Request) -> web.Response:
        operation = self.operations[request.match_info["id"]]
        status = await operation.running
        return sync(operation.described(200, **{"return": status}))

    async def join(self, request: web.Request) -> web.StreamResponse:
        operation = self.operations[request.match_info["id"]]
        if "Origin" in request.headers:
            raise web.HTTPForbidden  # as LXD's library does when it is not that of Host
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        operation.sockets[request.query["secret"].removeprefix("secret-")].set_result(ws)
        await operation.running
        async for _ in ws:
            pass
        return ws

    async def events(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("type", "lifecycle,logging").split(",")
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        for event in EVENTS:
            if event["type"] in wanted:
                await ws.send_json(event)
        await ws.close()
        return ws


def sync(metadata: Any) -> web.Response:
    """Answer as LXD does."""
    return web.json_response({"type": "sync", "status": "Success", "status_code": 200, "metadata": metadata})


async def main(where: str) -> None:
    """Serve until the process is ended."""
    runner = web.AppRunner(Site().application())
    await runner.setup()
    if where == "tls":
        site: Any = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context())
    else:
        site = web.UnixSite(runner, where)
    await site.start()
    address = site._server.sockets[0].getsockname()
    sys.stdout.write(f"listening on {address if isinstance(address, str) else address[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
