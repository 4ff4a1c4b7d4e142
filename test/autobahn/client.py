"""Our client as the suite's fuzzing server wants it: every case in turn, all messages echoed.

``python -m test.autobahn.client ws://127.0.0.1:9001 AGENT``
"""

from __future__ import annotations

import argparse
import sys
from urllib.parse import quote

from ws4py_ng.client.threadedclient import WebSocketClient
from ws4py_ng.exc import HandshakeError
from ws4py_ng.limits import MIB, Limits
from ws4py_ng.messaging import Message

LIMITS = Limits(max_message_size=16 * MIB)  # case 9.1.6


class Echo(WebSocketClient):
    """Send every message back as it came."""

    def received_message(self, message: Message) -> None:
        self.send(message.data, message.is_binary)


class Count(WebSocketClient):
    """Keep the one number that the suite sends."""

    number = 0

    def received_message(self, message: Message) -> None:
        self.number = int(message.data)


def run(client: WebSocketClient) -> None:
    """Connect and stay until the connection is closed."""
    client.connect()
    client.run_forever()


def main() -> int:
    """Run all cases that the server has; 1 when a handshake failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("agent")
    arguments = parser.parse_args()
    url, agent = arguments.url.rstrip("/"), quote(arguments.agent)
    count = Count(f"{url}/getCaseCount")
    run(count)
    print(f"{count.number} cases", flush=True)
    failed = 0
    for case in range(1, count.number + 1):
        try:
            run(Echo(f"{url}/runCase?case={case}&agent={agent}", limits=LIMITS, deflate=True))
        except (HandshakeError, OSError) as error:
            failed += 1
            print(f"case number {case}: {error!r}", flush=True)
    run(Count(f"{url}/updateReports?agent={agent}"))
    return 1 if failed or not count.number else 0


if __name__ == "__main__":
    sys.exit(main())
