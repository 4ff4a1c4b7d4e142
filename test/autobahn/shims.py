"""The shims as rows to be run: the echo servers of the libraries whose names they have."""

from __future__ import annotations

import sys

from test.server.wsgi_hosts import command, python_of
from test.transports.contract import Options, RunningServer, ServerRow
from test.transports.rows_wsgi import RunningProcess

__all__ = ["ROWS"]

SITES = "test.shims.sites"


class ShimRow(ServerRow):
    """Run a site under a WSGI host, or as a program of its own."""

    def __init__(self, name: str, site: str, host: str | None = None, library: str = "") -> None:
        self.name = name  # type: ignore[misc]
        self._site = f"{SITES}.{site}"
        self._host = host
        self._library = library

    def why_not(self) -> str | None:
        return None if not self._library or python_of(self._library) else f"{self._library} is not there"

    def start(self, options: Options) -> RunningServer:
        program = [sys.executable, "-W", "ignore", "-m", self._site]
        return RunningProcess(program if self._host is None else command(self._host, self._site), options)


ROWS: list[ServerRow] = [
    ShimRow("shim eventlet", "eventlet_echo", "eventlet", "eventlet"),
    ShimRow("shim geventwebsocket", "geventwebsocket_echo", library="geventwebsocket"),
    ShimRow("shim simple-websocket", "simple", "werkzeug", "werkzeug"),
    ShimRow("shim simple-websocket aiohttp", "aioserver_echo", library="aiohttp"),
]
