"""Several processes on one port: a parent that starts, watches and replaces them, and passes on what they publish.

The parent (`Supervisor`) holds the listening sockets and serves nobody. Each worker (`Worker`) is a fresh
Python with an asyncio server, which has inherited its socket: no connection that waits to be accepted
is lost when a worker dies or is replaced. `ws4py-ng serve --workers N` puts both together.
"""

from __future__ import annotations

from .listening import listen
from .place import Place
from .supervisor import Supervisor
from .worker import Worker

__all__ = ["Place", "Supervisor", "Worker", "listen"]
