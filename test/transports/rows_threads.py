"""Rows of the contract: threads, server and client."""

from __future__ import annotations

import threading
import time
from typing import Any

from ws4py_ng.client.threadedclient import WebSocketClient, connect
from ws4py_ng.server.threadedserver import Server, serve

from .contract import ClientRow, Options, Row, RunningClient, RunningServer, ServerRow
from .diary import WAIT
from .handlers import client_class, note_failure, routes, tag_of
from .scripts import SCRIPTS, follow
from .tls import client_context, server_context

__all__ = ["ROWS"]


def server_options(options: Options) -> dict[str, Any]:
    """Name the options as `serve` does, that of threads and that of asyncio."""
    more = {} if options.max_connections is None else {"max_connections": options.max_connections}
    return {
        "ssl_context": server_context() if options.tls else None,
        "protocols": options.protocols,
        "origins": options.origins,
        "deflate": options.deflate,
        "headers": options.headers,
        "heartbeat_freq": options.heartbeat_freq,
        "limits": options.all_limits,
        **more,
    }


def client_options(options: Options) -> dict[str, Any]:
    """Name the options as our clients do."""
    return {
        "protocols": list(options.protocols),
        "headers": list(options.headers),
        "heartbeat_freq": options.heartbeat_freq,
        "ssl_context": client_context(distrust=options.distrust) if options.tls else None,
        "deflate": options.deflate,
        "limits": options.all_limits,
    }


class _Server:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.address = server.address
        server.start()

    def stop(self) -> None:
        self.server.shutdown()


class ThreadsServer(ServerRow):
    """`server.threadedserver`."""

    functions = True
    name = "threads"

    def start(self, options: Options) -> RunningServer:
        return _Server(serve(routes("threads"), "127.0.0.1", 0, **server_options(options)))


class _Client:
    def __init__(self, hooks: str, url: str, options: Options) -> None:
        self._arguments = hooks, url, options
        self._thread = threading.Thread(target=self._run, name="contract client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        hooks, url, options = self._arguments
        try:
            client = client_class(hooks, WebSocketClient)(url, **client_options(options))
            client.connect()
        except Exception as error:  # noqa: BLE001 - the case judges it
            note_failure(url, error)
        else:
            client.run_forever()

    def wait(self, seconds: float = WAIT) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the client does not end"


class _Pulling:
    def __init__(self, script: str, url: str, options: Options) -> None:
        self._thread = threading.Thread(target=self._run, args=[script, url, options], daemon=True)
        self._thread.start()

    def _run(self, script: str, url: str, options: Options) -> None:
        with connect(url, **client_options(options)) as ws:
            follow(SCRIPTS[script](tag_of(url)), ws, time.sleep)

    def wait(self, seconds: float = WAIT) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the client does not end"


class ThreadsClient(ClientRow):
    """`client.threadedclient`."""

    name = "threads"
    pulls = True

    def start(self, hooks: str, url: str, options: Options) -> RunningClient:
        return _Client(hooks, url, options)

    def pull(self, script: str, url: str, options: Options) -> RunningClient:
        return _Pulling(script, url, options)


ROWS: list[Row] = [ThreadsServer(), ThreadsClient()]
