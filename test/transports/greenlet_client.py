"""Run a client of gevent or eventlet for the contract: ``python -m test.transports.greenlet_client KIND HOOKS URL``."""

from __future__ import annotations

import importlib
import os
import sys

from .contract import Options
from .diary import watch_logs
from .handlers import client_class, note_failure
from .rows_threads import client_options
from .rows_wsgi import OPTIONS


def main(kind: str, hooks: str, url: str) -> None:
    """Connect, and wait for the end."""
    options = Options.from_json(os.environ[OPTIONS])
    base = importlib.import_module(f"ws4py_ng.client.{kind}client").WebSocketClient
    watch_logs()
    try:
        client = client_class(hooks, base)(url, **client_options(options))
        client.connect()
    except Exception as error:  # noqa: BLE001 - the case judges it
        note_failure(url, error)
    else:
        client.run_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
