"""A live dashboard for any number of browsers: ``python example/dashboard [--port 9000]``.

With Redis it runs in as many processes as you like, on one machine or on many, and each shows the same:

    python example/dashboard --port 9000 --bus redis://127.0.0.1
    python example/dashboard --port 9001 --bus redis://127.0.0.1

A viewer who cannot keep up, from another terminal:

    python example/dashboard --slow-viewer 127.0.0.1:9000 --policy conflate

The rooms, their history and who is in them are in `ws4py_ng.demo.dashboard.rooms`, the page is beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from ws4py_ng.demo import ECHO_PATH, Page
from ws4py_ng.demo.dashboard import DASHBOARD_PATH, DEFAULT_ROOMS, LIMITS, LIVE_PATH, Dashboard, SlowViewer
from ws4py_ng.pubsub import Bus, Policy
from ws4py_ng.server.asyncioserver import serve
from ws4py_ng.websocket import EchoWebSocket


async def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    with Dashboard(arguments.rooms, make_bus(arguments.bus), arguments.rate) as dashboard:
        if not await asyncio.to_thread(dashboard.wait_for_bus):
            print(f"{arguments.bus} does not answer yet, and is tried again", file=sys.stderr, flush=True)
        handlers = {LIVE_PATH: dashboard.viewer, ECHO_PATH: EchoWebSocket}
        answer = Page("ws4py-ng").answer  # what is no WebSocket: the files of the page
        async with serve(handlers, arguments.host, arguments.port, process_request=answer, limits=LIMITS) as server:
            dashboard.start(arguments.name or str(server.port))
            print(f"open http://{arguments.host}:{server.port}{DASHBOARD_PATH}", flush=True)
            await stopped.wait()


def make_bus(url: str | None) -> Bus | None:
    """Make what joins processes: streams of Redis, which keep what was published."""
    if url is None:
        return None
    if not url.startswith(("redis://", "rediss://", "unix://")):
        sys.exit(f"--bus {url!r}: expected redis://HOST[:PORT], rediss://HOST[:PORT] or unix://PATH")
    try:
        from ws4py_ng.pubsub.redis import RedisStreamBus
    except ModuleNotFoundError as error:
        sys.exit(f"--bus needs the library {error.name!r}: pip install 'ws4py-ng[redis]'")
    return RedisStreamBus(url, prefix="dashboard:")


def be_slow(arguments: argparse.Namespace) -> None:
    """Read slowly until Ctrl-C, or until the server ends it."""
    viewer = SlowViewer(arguments.slow_viewer, LIVE_PATH, arguments.name or "slow", arguments.policy, arguments.rooms)
    viewer.start()
    try:
        viewer.join()
        print("the server has ended it")
    except KeyboardInterrupt:
        viewer.stop()


def names(text: str) -> list[str]:
    """Read the names of rooms."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        sys.exit(f"--rooms {text!r}: expected names separated by commas")
    return found


def rate(text: str) -> float:
    """Read a number above 0."""
    try:
        if (found := float(text)) > 0:
            return found
    except ValueError:
        pass
    sys.exit(f"--rate {text!r}: expected a number above 0")


def address(text: str) -> tuple[str, int]:
    """Read a host and a port."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        sys.exit(f"--slow-viewer {text!r}: expected HOST:PORT")
    return host.strip("[]"), int(port)


def main() -> None:
    """Read the options, and do it."""
    parser = argparse.ArgumentParser(description="Serve a live dashboard.", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9000, help="0 for any free one (default: %(default)s)")
    parser.add_argument("--bus", metavar="URL", help="redis://HOST[:PORT]: share the rooms with other processes")
    parser.add_argument("--rooms", type=names, default=list(DEFAULT_ROOMS), help="separated by commas")
    parser.add_argument("--name", help="tells this process from others (default: its port)")
    parser.add_argument("--rate", type=rate, default=4.0, help="readings a second in each room (default: %(default)g)")
    parser.add_argument(
        "--slow-viewer", metavar="HOST:PORT", type=address, help="be a viewer who cannot keep up, and no server"
    )
    parser.add_argument("--policy", choices=[each.value for each in Policy], default="conflate", help="for that viewer")
    arguments = parser.parse_args()
    try:
        if arguments.slow_viewer:
            be_slow(arguments)
        else:
            asyncio.run(run(arguments))
    except OSError as error:
        sys.exit(error.strerror or str(error))


if __name__ == "__main__":
    main()
