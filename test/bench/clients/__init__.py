"""The clients that are measured, as a table: each is a program of its own.

It connects to the port of its setup, prints "ready", and for each line "COUNT WINDOW SIZE" that it
reads it sends so many messages, of which WINDOW wait for their answers at most; then it prints "done".
"""

from __future__ import annotations

from ..table import Entry, both_builds, tabulate

__all__ = ["CLIENTS"]


def _entry(name: str, where: str, library: str = "", needs: str = "") -> Entry:
    return Entry(name, f"test.bench.clients.{where}", library, tuple(needs.split()))


LIMITS = [
    _entry("raw/asyncio", "raw:asyncio_"),
    _entry("raw/uvloop", "raw:uvloop_", needs="uvloop"),
    _entry("raw/thread", "raw:threads"),
]
OURS = [
    _entry("ng/threads", "ours:threads"),
    _entry("ng/asyncio", "ours:asyncio_", needs="ws4py_ng.client.asyncioclient"),
    _entry("ng/uvloop", "ours:uvloop_", needs="ws4py_ng.client.asyncioclient uvloop"),
    _entry("ng/trio", "ours:trio_", needs="trio"),
]
PEERS = [
    _entry("websocket-client", "peers:websocket_client", "websocket-client", "websocket"),
    _entry("websockets", "peers:websockets_", "websockets", "websockets"),
    _entry("websockets/threads", "peers:websockets_threads", "websockets", "websockets"),
    _entry("aiohttp", "peers:aiohttp_", "aiohttp", "aiohttp"),
    _entry("picows", "peers:picows_", "picows", "picows"),
    _entry("picows/uvloop", "peers:picows_uvloop", "picows", "picows uvloop"),
]
CLIENTS = tabulate(LIMITS, both_builds(OURS), PEERS)
