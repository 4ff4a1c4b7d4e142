"""The servers that are measured, as a table: each is a program of its own."""

from __future__ import annotations

from ..table import Entry, both_builds, tabulate

__all__ = ["SERVERS"]


def _entry(name: str, where: str, library: str = "", needs: str = "", features: str = "") -> Entry:
    where = f"test.bench.servers.{where}"
    return Entry(name, where, library, tuple(needs.split()), frozenset(features.split()))


# Features: tls and deflate; memory, handshake and broadcast are whether it takes part in those cases.
FULL = "tls deflate memory handshake"

LIMITS = [
    _entry("raw/asyncio", "raw:loop", features="tls memory handshake broadcast"),
    _entry("raw/asyncio/buffered", "raw:buffered", features="tls"),
    _entry("raw/asyncio/fastnet", "raw:fastnet", "aiofastnet", "aiofastnet", "tls"),
    _entry("raw/asyncio/strict", "raw:strict", features="handshake-only"),
    _entry("raw/uvloop", "raw:uvloop", "uvloop", "uvloop", "tls memory handshake broadcast"),
    _entry("raw/tornado", "raw:tornado", "tornado", "tornado"),
    _entry("raw/thread", "raw:thread", features="tls memory handshake"),
]
OURS = [
    _entry("ng/asyncio", "ours_loops:asyncio_", features=f"{FULL} broadcast"),
    _entry("ng/uvloop", "ours_loops:uvloop_", needs="uvloop", features=f"{FULL} broadcast"),
    _entry("ng/threads", "ours_threads:threads", features=f"{FULL} broadcast"),
    _entry("ng/asyncio/hub", "ours_loops:asyncio_hub", features="broadcast-only"),
    _entry("ng/threads/hub", "ours_threads:threads_hub", features="broadcast-only"),
    _entry("ng/manager", "ours_threads:manager", features="memory handshake deflate"),
    _entry("ng/gevent", "ours_green:gevent_", needs="gevent", features="deflate memory handshake"),
    _entry("ng/eventlet", "ours_green:eventlet_", needs="eventlet", features="deflate memory handshake"),
    _entry("ng/tornado", "ours_loops:tornado_", needs="tornado", features="deflate memory handshake"),
    _entry("ng/trio", "ours_loops:trio_", needs="trio", features=FULL),
    _entry("ng/cherrypy", "ours_threads:cherrypy_", needs="cherrypy", features="deflate"),
    _entry("ng/aiohttp", "ours_loops:aiohttp_", needs="aiohttp", features="deflate"),
    _entry("ng/werkzeug", "ours_threads:werkzeug_", needs="werkzeug", features="deflate"),
    _entry("ng/asgi", "ours_loops:asgi", needs="uvicorn websockets"),
    _entry("ng/uvicorn", "ours_loops:uvicorn_", needs="uvicorn", features="deflate"),
]
PEERS = [
    _entry("picows", "peers_loops:picows_", "picows", "picows", "tls memory handshake broadcast"),
    _entry("picows/uvloop", "peers_loops:picows_uvloop", "picows", "picows uvloop", "tls memory handshake broadcast"),
    _entry("picows/plain", "peers_loops:picows_plain", "picows", "picows", "tls memory handshake broadcast"),
    _entry("aiohttp", "peers_loops:aiohttp_", "aiohttp", "aiohttp", f"{FULL} broadcast"),
    _entry("websockets", "peers_loops:websockets_", "websockets", "websockets", f"{FULL} broadcast"),
    _entry("websockets/threads", "peers_threads:websockets_", "websockets", "websockets", FULL),
    _entry("tornado", "peers_loops:tornado_", "tornado", "tornado", "deflate memory handshake"),
    _entry("uvicorn/websockets", "peers_loops:uvicorn_websockets", "uvicorn", "uvicorn websockets", "deflate"),
    _entry("uvicorn/wsproto", "peers_loops:uvicorn_wsproto", "uvicorn", "uvicorn wsproto", "deflate"),
    _entry("simple-websocket", "peers_threads:simple", "simple-websocket", "simple_websocket werkzeug"),
    _entry("gevent-websocket", "peers_green:gevent_websocket", "gevent-websocket", "geventwebsocket"),
    _entry("eventlet", "peers_green:eventlet_", "eventlet", "eventlet"),
    _entry("ws4py/gevent", "peers_green:ws4py_gevent", "ws4py", "ws4py gevent"),
    _entry("ws4py/cherrypy", "peers_threads:ws4py_cherrypy", "ws4py", "ws4py cherrypy"),
    _entry("ws4py/wsgiref", "peers_threads:ws4py_wsgiref", "ws4py", "ws4py"),
]
SERVERS = tabulate(LIMITS, both_builds(OURS), PEERS)
