"""`ws4py-ng replay`: drive a class by a recording, or talk to a live server or client as recorded."""

from __future__ import annotations

import argparse
from typing import Any

from ..capture import CaptureError, replay, replay_to_client, replay_to_server
from ..capture.cuts import SPLITS
from ..capture.live import LIVE_SPLITS
from ..exc import HandshakeError
from ..uri import parse_uri
from . import options
from .console import Failure, printable, say
from .explain import explain
from .inspect import load_or_fail
from .serve import find_app

__all__ = ["add_command"]

EPILOG = """\
  ws4py-ng replay trace.wscap --app chat:Room --splits every
  ws4py-ng replay trace.wscap --to ws://127.0.0.1:9000/
  ws4py-ng replay trace.wscap --listen 9000

exit status:
  0  as recorded
  1  a difference, which is shown; or no recording, nobody there
  2  wrong usage
"""


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "replay",
        help="replay a recording and compare",
        description="Drive a WebSocket class by a recording, or play the recorded side to a live peer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--app", metavar="MODULE:CLASS", help="drive this class; or echo")
    how.add_argument("--to", metavar="URL", help="play the client to this server")
    how.add_argument("--listen", metavar="PORT", type=options.port, help="play the server to who connects here")
    parser.add_argument("--connection", metavar="N", type=options.place, help="which one of several, from 0")
    parser.add_argument(
        "--splits",
        choices=SPLITS,
        default="recorded",
        help="how the bytes arrive (default: recorded); whole and every with --app",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of random splits (default: 0)")
    parser.add_argument(
        "--speed", metavar="FACTOR", type=options.interval, help="1 is as it was; default: as fast as it goes"
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=options.interval,
        default=10.0,
        help="patience with a peer (default: 10)",
    )
    options.add_trust(parser)
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay once."""
    if arguments.app is None and arguments.splits not in LIVE_SPLITS:
        arguments.parser.error(f"--splits {arguments.splits} goes with --app, expected one of {', '.join(LIVE_SPLITS)}")
    try:
        uri = parse_uri(arguments.to) if arguments.to is not None else None
    except ValueError as error:
        raise Failure(f"bad URL: {error}") from error
    recording = load_or_fail(arguments.file)
    common = {"connection": arguments.connection, "splits": arguments.splits, "seed": arguments.seed}
    try:
        if arguments.app is not None:
            result = replay(recording, find_app(arguments.app), speed=arguments.speed, **common)
            say(f"{len(result.hooks)} calls of hooks, {len(result.sent)} bytes sent, {result.runs} runs")
            return _tell(result.difference)
        live = _live(arguments, recording, {**common, "speed": arguments.speed, "timeout": arguments.timeout})
    except (CaptureError, ValueError) as error:
        raise Failure(str(error)) from error
    except (OSError, HandshakeError) as error:
        raise Failure(f"the client: {error}" if uri is None else explain(error, uri)) from error
    say(f"{live.frames} frames came as recorded")
    return _tell(live.difference)


def _live(arguments: argparse.Namespace, recording: Any, common: dict[str, Any]) -> Any:
    if arguments.to is not None:
        context = options.tls_of(arguments) if arguments.insecure or arguments.ca_file else None
        return replay_to_server(recording, arguments.to, ssl_context=context, **common)

    def announce(address: tuple[str, int]) -> None:
        say(f"listening on ws://{address[0]}:{address[1]}/")

    return replay_to_client(recording, "127.0.0.1", arguments.listen, on_listening=announce, **common)


def _tell(difference: object) -> int:
    if difference is None:
        say("as recorded")
        return 0
    for line in str(difference).splitlines():
        say(printable(line))
    return 1
