"""One side of a run: the server or the client of a row of the contract, echoing, in a process of its own.

``python -m test.autobahn.side server ROW``, or ``... side client ROW URL AGENT CASES``.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from test.autobahn import shims
from test.transports.contract import ClientRow, Options, ServerRow, client_rows, server_rows
from test.transports.diary import Diary
from test.transports.tls import write_certificates
from ws4py_ng.limits import MIB

# Case 9.1.6 has messages of 16 MiB.
OPTIONS = Options(deflate=True, limits={"max_message_size": 16 * MIB})
# The suite itself ends a case after eight minutes at most; on a busy machine one may take them.
CASE_SECONDS = 600.0


def slug(name: str) -> str:
    """Make of a row's name one that a command line and a folder can have."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split()).lower()


def servers() -> dict[str, ServerRow]:
    """Return the rows that can be run here, by their names on the command line."""
    rows = [*server_rows(), *shims.ROWS]
    return {slug(row.name): row for row in rows if row.why_not() is None and not row.like}


def clients() -> dict[str, ClientRow]:
    """Return the rows that can be run here, by their names on the command line."""
    return {slug(row.name): row for row in client_rows() if row.why_not() is None and not row.like}


def serve(name: str) -> None:
    """Serve until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    running = servers()[name].start(OPTIONS)
    host, port = running.address[:2]
    print(f"listening on ws://{host}:{port}/echo", flush=True)
    ended.wait()
    running.stop()


def connect(name: str, url: str, agent: str, cases: int) -> None:
    """Connect once for every case, and have the reports written."""
    row, query = clients()[name], f"agent={quote(agent)}"
    for case in range(1, cases + 1):
        row.start("echo", f"{url}/runCase?case={case}&{query}", OPTIONS).wait(CASE_SECONDS)
    row.start("listen", f"{url}/updateReports?{query}", OPTIONS).wait(CASE_SECONDS)


def main(argv: Sequence[str]) -> None:
    """Be the side that the arguments name."""
    role, name, *more = argv
    with tempfile.TemporaryDirectory() as certificates:
        write_certificates(Path(certificates))
        diary = Diary()
        try:
            if role == "server":
                serve(name)
            else:
                url, agent, cases = more
                connect(name, url.rstrip("/"), agent, int(cases))
        finally:
            diary.close()


if __name__ == "__main__":
    main(sys.argv[1:])
