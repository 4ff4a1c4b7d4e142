"""How many hosts a number of connections needs, and what breaks first: `python example/capacity.py --help`.

It takes what one process was measured to cost (`python -m test.bench.scaling > figures.json`, then
`--figures figures.json`; by default the figures of docs/topics/scaling.md), and multiplies.
"""

from __future__ import annotations

import argparse
import json
from math import ceil
from pathlib import Path

FIGURES = Path(__file__).parents[1] / "docs" / "topics" / "scaling.json"
GIB = 1024**3
# A worker that is busier than this has no room for a bad minute.
BUSY = 0.6
# Memory of a worker without connections.
BASE = 40 * 1024 * 1024


def arguments() -> argparse.Namespace:
    """Read what is asked."""
    parser = argparse.ArgumentParser(description="How many hosts, and what breaks first.")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="JSON of test.bench.scaling")
    parser.add_argument("--connections", type=int, default=1_000_000)
    parser.add_argument("--topic-members", type=int, default=100, help="connections that a publish reaches")
    parser.add_argument("--publishes", type=float, default=2_000.0, help="a second, of all topics together")
    parser.add_argument("--messages", type=float, default=0.01, help="a second, that one connection sends")
    parser.add_argument("--cores", type=int, default=8, help="of a host, each with a worker")
    parser.add_argument("--memory", type=float, default=16.0, help="GiB of a host")
    parser.add_argument("--descriptors", type=int, default=100_000, help="of a worker (ulimit -n)")
    parser.add_argument("--broker", type=float, default=200_000.0, help="messages a second that the broker sends")
    parser.add_argument("--tls", action="store_true", help="the workers speak TLS, not a proxy")
    return parser.parse_args()


def main() -> None:
    """Tell, for each thing that there is an end of, how many hosts it asks for."""
    asked = arguments()
    cost: dict[str, float] = json.loads(asked.figures.read_text())
    memory = cost["tls_memory_bytes"] if asked.tls else cost["memory_bytes"]
    delivered = asked.publishes * asked.topic_members
    seconds = (
        asked.connections * cost["idle_cpu_percent"] / 100 / cost["connections"]
        + delivered * cost["broadcast_us"] / 1e6
        + asked.connections * asked.messages * cost["message_us"] / 1e6
    )
    hosts = {
        "descriptors": asked.connections / (asked.descriptors * asked.cores),
        "memory": asked.connections * memory / (asked.memory * GIB * 0.8 - asked.cores * BASE),
        "CPU": seconds / (asked.cores * BUSY),
    }
    needed = max(1, *(ceil(each) for each in hosts.values()))
    for name, each in hosts.items():
        print(f"{name:<12} {each:8.2f} hosts")
    print(f"{needed} hosts of {asked.cores} workers, {asked.connections // (needed * asked.cores)} connections each")
    print(f"first: {max(hosts, key=lambda name: hosts[name])}")
    # A publish goes to each worker that has a member: more workers make this worse.
    workers = needed * asked.cores
    copies = asked.publishes * min(workers, asked.topic_members)
    print(f"bus: {copies:.0f} messages a second to {workers} workers, {copies / asked.broker:.0%} of the broker")
    if copies > asked.broker:
        print("the bus breaks before all: give a topic's members to few workers, or topics to several brokers")


if __name__ == "__main__":
    main()
