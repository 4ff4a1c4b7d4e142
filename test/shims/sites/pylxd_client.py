"""A program that uses pylxd: ``python -m test.shims.sites.pylxd_client ENDPOINT [CERTIFICATE KEY AUTHORITY]``."""

from __future__ import annotations

import io
import sys

import ws4py_ng

if "--original" not in sys.argv:
    ws4py_ng.install_as_ws4py()

import pylxd
from pylxd.client import EventType


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")


endpoint, *tls = [each for each in sys.argv[1:] if not each.startswith("--")]
client = pylxd.Client(endpoint, cert=tuple(tls[:2]), verify=tls[2]) if tls else pylxd.Client(endpoint)
instance = client.instances.get("c1")

say(tuple(instance.execute(["sh", "-c", "echo h\u00e9llo; echo oops >&2; exit 3"])))
say(tuple(instance.execute(["cat"], stdin_payload="line 1\nline 2\n")))
say(tuple(instance.execute(["wc", "-c"], stdin_payload=io.StringIO("x" * 99 + "\n" + "y" * 99))))
done = instance.execute(["head", "-c", "3000000", "/dev/zero"], decode=False)
say(f"{done.exit_code} {len(done.stdout)} {set(done.stdout)}")
handled: list[str] = []
instance.execute(["echo", "piece"], stdout_handler=handled.append)
say(handled)

for wanted in (None, {EventType.Lifecycle}):
    events = client.events(event_types=wanted)
    events.connect()
    events.run()
    say([event["type"] for event in events.messages])
say(type(events).__mro__[1].__module__)  # whose it is
