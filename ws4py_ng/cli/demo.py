"""`ws4py-ng demo`: a server with a page to try it, and the command to try beside it."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from ..demo import ECHO_PATH, Page
from ..demo.dashboard import DASHBOARD_PATH, LIMITS, LIVE_PATH, Dashboard
from ..websocket import EchoWebSocket
from . import options
from .console import log_to_stderr, say
from .serving import address_of, listen, run_until_stopped

__all__ = ["add_command", "own_command"]

SCRIPT = "ws4py-ng"


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="a page in your browser that talks to a WebSocket server",
        description=f"Serve a page that opens a WebSocket to {ECHO_PATH}, and shows what passes and how long it takes; "
        f"and at {DASHBOARD_PATH} a live dashboard for any number of browsers.",
        epilog="Ctrl-C and SIGTERM close every connection with 1001. Exit status: 0, or 1 if it could not start.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=options.port, default=9000, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="log what happens, on standard error")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until stopped."""
    log_to_stderr(arguments.verbose)
    program = own_command()
    page = Page(program)
    other = min(arguments.port + 1, options.MAX_PORT)
    by_make = f" (make demo PORT={other})" if "MAKELEVEL" in os.environ else ""
    with Dashboard() as dashboard:
        server = listen(
            {ECHO_PATH: EchoWebSocket, LIVE_PATH: dashboard.viewer},
            arguments.host,
            arguments.port,
            f"choose another by --port {other}{by_make}",
            process_request=page.answer,
            limits=LIMITS,
        )
        address = address_of(server, arguments.host)

        def announce() -> None:
            say(f"open      http://{address}/")
            say(f"or try    {program} connect ws://{address}{ECHO_PATH}")
            say(f"or watch  http://{address}{DASHBOARD_PATH}")
            say("to end    Ctrl-C")

        dashboard.start(str(server.port))
        return run_until_stopped(server, announce)


def own_command() -> str:
    """Return how to call this program again, as short as works from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":  # python -m ws4py_ng
        found = shutil.which(SCRIPT, path=str(Path(sys.executable).parent))
        if found is None:
            return f"{shlex.quote(_from_here(sys.executable))} -m ws4py_ng"
        called = Path(found)
    if shutil.which(SCRIPT) == str(called):
        return SCRIPT
    return shlex.quote(_from_here(str(called)))


def _from_here(path: str) -> str:
    """Shorten a path below the current directory."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
