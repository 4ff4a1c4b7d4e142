"""A client of simple-websocket over TLS: ``python -m test.shims.sites.tls_client KIND PORT``."""

from __future__ import annotations

import sys

KIND, PORT = sys.argv[1:]
if KIND == "gevent":
    from gevent import monkey

    monkey.patch_all()
elif KIND == "eventlet":
    import eventlet

    eventlet.monkey_patch()

import asyncio  # noqa: E402
import ssl  # noqa: E402

from test.transports.tls import client_context  # noqa: E402
from ws4py_ng.limits import MIB  # noqa: E402
from ws4py_ng.shims import install  # noqa: E402

install("simple_websocket")

from simple_websocket import AioClient, Client, ConnectionClosed  # noqa: E402

URL = f"wss://localhost:{PORT}/"
OPTIONS = {"subprotocols": "echo", "max_message_size": 16 * MIB}


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")


def converse() -> None:
    """Talk, in this thread or greenlet."""
    try:
        Client.connect(URL, ssl_context=client_context(distrust=True))
    except ssl.SSLError as error:
        say(type(error).__name__)
    ws = Client.connect(URL, ssl_context=client_context(), **OPTIONS)
    ws.send("first")
    ws.send(b"x" * (3 * MIB))
    say([ws.receive(timeout=20), len(ws.receive(timeout=20))])
    ws.send("bye")
    try:
        ws.receive(timeout=20)
    except ConnectionClosed as closed:
        say(f"{closed.reason} {closed.message}")


async def aioconverse() -> None:
    """Talk, in a task."""
    try:
        await AioClient.connect(URL, ssl_context=client_context(distrust=True))
    except ssl.SSLError as error:
        say(type(error).__name__)
    ws = await AioClient.connect(URL, ssl_context=client_context(), **OPTIONS)
    await ws.send("first")
    await ws.send(b"x" * (3 * MIB))
    say([await ws.receive(timeout=20), len(await ws.receive(timeout=20))])
    await ws.send("bye")
    try:
        await ws.receive(timeout=20)
    except ConnectionClosed as closed:
        say(f"{closed.reason} {closed.message}")


if KIND == "asyncio":
    asyncio.run(aioconverse())
else:
    converse()
