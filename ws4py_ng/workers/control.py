"""What parent and worker say to each other: a line of JSON each, over a socket pair."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

__all__ = ["Control"]

MAX_LINE = 8 * 1024 * 1024


class Control:
    """Be one end; made by `open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Control:
        """Begin to talk over a connected socket, in the running loop."""
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=MAX_LINE))

    def send(self, verb: str, **values: Any) -> None:
        """Say something; nothing if nobody is there any more."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps({"verb": verb, **values}).encode() + b"\n")

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Hear what the other says, until it is gone."""
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                yield json.loads(line)

    async def close(self) -> None:
        """Hang up, behind what was said."""
        with suppress(OSError):
            self._writer.close()
            await self._writer.wait_closed()
