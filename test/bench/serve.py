"""Run one program of a table: ``python -m test.bench.serve servers NAME SETUP``."""

from __future__ import annotations

import importlib
import logging
import resource
import sys

from .setup import Setup


def main(table: str, name: str, setup: str) -> None:
    """Run it until it is killed, or ends."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.disable(logging.WARNING)
    entries = getattr(importlib.import_module(f"test.bench.{table}"), table.upper())
    entries[name].load()(Setup.from_json(setup))


if __name__ == "__main__":
    main(*sys.argv[1:])
