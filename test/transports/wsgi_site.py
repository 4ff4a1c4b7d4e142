"""The application of the contract's rows for WSGI; the options are in the environment."""

from __future__ import annotations

import os
from typing import Any

from ws4py_ng.server.seats import MAX_CONNECTIONS
from ws4py_ng.server.wsgi import WebSocketApplication

from .contract import Options
from .diary import watch_logs
from .handlers import routes
from .rows_wsgi import OPTIONS

__all__ = ["application"]


def make() -> Any:
    """Make the application."""
    options = Options.from_json(os.environ[OPTIONS])
    return WebSocketApplication(
        routes("threads"),
        protocols=options.protocols,
        origins=options.origins,
        deflate=options.deflate,
        headers=options.headers,
        heartbeat_freq=options.heartbeat_freq,
        limits=options.all_limits,
        max_connections=options.max_connections or MAX_CONNECTIONS,
    )


watch_logs()
application = make()
