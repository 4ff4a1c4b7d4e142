"""What `serve` does with --workers, --bus and --tracing."""

from __future__ import annotations

import argparse
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

from ..limits import Limits
from ..pubsub.bus import Bus
from ..pubsub.process import bus_factory, join_process_hub
from ..websocket import WebSocket
from ..workers.place import Place
from . import options
from .console import Failure, say
from .serving import explained, shown_address

__all__ = ["add_options", "check_options", "join_bus", "supervise", "trace", "work"]

OVER = 5.0
MAX_CONNECTIONS = 10_000
# What a worker may take beyond closing its connections: their peers' time, and its own end.
MARGIN = 5.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("many connections")
    group.add_argument(
        "--workers",
        metavar="N",
        type=options.number,
        help="so many processes on one port, each with an event loop (uvloop if it is installed); "
        "hooks may be async, and must not block",
    )
    group.add_argument(
        "--bus",
        metavar="URL",
        help="what carries the publishes of ws4py_ng.pubsub.process_hub() between hosts: redis://HOST, "
        "streams+redis://HOST or nats://HOST; by default the workers of this command share them",
    )
    group.add_argument(
        "--drain",
        metavar="SECONDS",
        type=options.seconds,
        help=f"time over which a worker closes its connections, of which it closes 200 a second at least "
        f"(default: {OVER:g})",
    )
    group.add_argument(
        "--max-connections",
        metavar="N",
        type=options.number,
        help=f"of each worker; more get 503 (default: {MAX_CONNECTIONS})",
    )
    group.add_argument("--metrics", action="store_true", help="count, and answer GET /metrics, for Prometheus")
    group.add_argument("--tracing", action="store_true", help="a span for each connection (OpenTelemetry)")


def check_options(arguments: argparse.Namespace) -> None:
    """Refuse, with status 2, what does not go together."""
    if arguments.workers is None:
        for name in ("drain", "max_connections", "metrics"):
            given = getattr(arguments, name)
            if given is not None and given is not False:
                arguments.parser.error(f"--{name.replace('_', '-')} needs --workers")
    elif sys.platform == "win32":
        arguments.parser.error("--workers needs Unix: start a process for each port here")
    if arguments.bus is not None:
        try:
            bus_factory(arguments.bus)()  # connects to nothing yet
        except ValueError as error:
            arguments.parser.error(f"--bus: {error}")
        except ModuleNotFoundError as error:
            raise Failure(f"--bus {arguments.bus}: {error}") from error


def join_bus(url: str | None, place: Place | None) -> None:
    """Join the hub of this process to the bus of a URL, or to the other workers."""
    make: Callable[[], Bus]
    if url is not None:
        make = bus_factory(url)
    elif place is not None:
        from ..pubsub.relay import RelayBus

        sock = socket.socket(fileno=place.bus)
        make = lambda: RelayBus(sock)  # noqa: E731
    else:
        return
    join_process_hub(make)


def trace(handler: type[WebSocket]) -> type[WebSocket]:
    """Give each connection a span."""
    try:
        from ..tracing import traced
    except ModuleNotFoundError as error:
        raise Failure(f"--tracing: {error.name} is not installed: pip install 'ws4py-ng[tracing]'") from error
    return traced(handler)


def supervise(arguments: argparse.Namespace, scheme: str, context: ssl.SSLContext | None, limits: Limits) -> int:
    """Be the parent: start the workers, each by this very command."""
    from ..workers.listening import listen
    from ..workers.supervisor import Supervisor

    with explained(arguments.host, arguments.port):
        listeners = listen(arguments.host, arguments.port, arguments.workers)
    warnings = [f"-W{each}" for each in sys.warnoptions]
    address = shown_address(arguments.host, listeners[0][0].getsockname())
    supervisor = Supervisor(
        [sys.executable, *warnings, "-m", __name__.partition(".")[0], *arguments.argv],
        listeners,
        bound=_over(arguments) + (limits.close_timeout or 0) + MARGIN,
        on_ready=lambda: say(f"listening on {scheme}://{address}/"),
        ssl_context=context,
    )
    return supervisor.run()


def work(arguments: argparse.Namespace, place: Place, handler: type[WebSocket], settings: dict[str, Any]) -> int:
    """Be a worker."""
    from ..workers.worker import Worker

    maximum = arguments.max_connections or MAX_CONNECTIONS
    over, metrics = _over(arguments), arguments.metrics
    return Worker(place, handler, over=over, metrics=metrics, max_connections=maximum, **settings).run()


def _over(arguments: argparse.Namespace) -> float:
    return OVER if arguments.drain is None else float(arguments.drain)
