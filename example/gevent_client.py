"""Send lines and receive what comes back, each in a greenlet: ``python example/gevent_client.py URL``."""

from __future__ import annotations

import sys

import gevent

from ws4py_ng.client.geventclient import WebSocketClient


def main() -> None:
    """Talk to an echo."""
    client = WebSocketClient(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:9000/echo")
    client.connect()

    def talk() -> None:
        for word in ("to", "be", "continued"):
            client.send(word)

    gevent.spawn(talk)
    for message in client:
        print(message)
        if str(message) == "continued":
            client.close()
    print("that is all")


if __name__ == "__main__":
    main()
