"""The command line: `serve`, `connect`, `demo`, `capture`, `inspect` and `replay`, one module each.

It knows argparse and exit statuses. What a command does stands in its module, which adds
its own options.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence

from .._core import BUILD
from .._version import __version__
from . import capture, connect, demo, inspect, replay, serve
from .console import Failure, accept_any_text, complain

__all__ = ["main"]

# What a shell reports for a program that was ended by SIGINT.
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    accept_any_text()
    arguments = _parser().parse_args(argv)
    arguments.argv = list(sys.argv[1:] if argv is None else argv)
    try:
        status: int = arguments.run(arguments)
    except Failure as failure:
        complain(str(failure))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ws4py-ng",
        description="WebSocket servers and clients from the command line.",
        epilog="`ws4py-ng COMMAND --help` tells more about a command.",
        allow_abbrev=False,
    )
    version = f"ws4py_ng {__version__} ({BUILD} build, Python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    serve.add_command(commands)
    connect.add_command(commands)
    demo.add_command(commands)
    capture.add_command(commands)
    inspect.add_command(commands)
    replay.add_command(commands)
    return parser
