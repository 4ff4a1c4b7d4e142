"""Run a client of gevent or eventlet for the contract.

``python -m test.transports.greenlet_client KIND connect HOOKS URL``, or ``pull SCRIPT``.
"""

from __future__ import annotations

import importlib
import os
import sys

from .contract import Options
from .diary import watch_logs
from .handlers import client_class, note_failure, tag_of
from .rows_threads import client_options
from .rows_wsgi import OPTIONS
from .scripts import SCRIPTS, follow


def main(kind: str, what: str, name: str, url: str) -> None:
    """Connect, and wait for the end; or run a script."""
    options = client_options(Options.from_json(os.environ[OPTIONS]))
    module = importlib.import_module(f"ws4py_ng.client.{kind}client")
    watch_logs()
    if what == "pull":
        with module.connect(url, **options) as ws:
            follow(SCRIPTS[name](tag_of(url)), ws, importlib.import_module(kind).sleep)
        return
    try:
        client = client_class(name, module.WebSocketClient)(url, **options)
        client.connect()
    except Exception as error:  # noqa: BLE001 - the case judges it
        note_failure(url, error)
    else:
        client.run_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
