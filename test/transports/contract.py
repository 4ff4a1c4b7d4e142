"""The contract that every transport keeps: which cases there are, and who runs them how.

To add a row:

1. Write a subclass of `ServerRow` or `ClientRow` in ``rows_<library>.py``, and give its module a
   line in `ROWS`. ``start`` gets `Options`, which are plain values: a server that needs a process
   of its own hands them to its program, as rows_wsgi.py does.
2. Serve `handlers.ROUTES`; clients make their class by `handlers.client_class`. Nothing else is
   needed: the classes tell the test what their hooks saw over a connection of their own (diary.py).
   Import the library in ``start``, so that other rows run without it.
3. Say what the row can do by ``async_hooks``, ``send_blocks``, ``needs`` (libraries), ``why_not``.
4. ``python -m pytest test/transports/test_contract.py -k <name>``. A case that cannot hold goes
   into ``leaves_out`` with its reason in one sentence; "later" is none.
5. ``python -m test.transports.contract`` writes the table of docs/reference/transports.md anew.
6. A case is a function in ``cases_*.py`` under `server_case` or `client_case`. It talks bytes, by
   `peers.Peer`, and asks the diary. It must hold for all rows, and never sleeps.
"""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from ws4py_ng.limits import Limits

from .diary import WAIT

__all__ = [
    "CLIENT_CASES",
    "ROWS",
    "SERVER_CASES",
    "Case",
    "ClientRow",
    "Options",
    "RunningClient",
    "RunningServer",
    "ServerRow",
    "client_case",
    "client_rows",
    "server_case",
    "server_rows",
]

# Modules that hold rows, in the order of the docs. Each names its rows in a list ``ROWS``.
ROWS = (
    "test.transports.rows_threads",
    "test.transports.rows_asyncio",
    "test.transports.rows_trio",
    "test.transports.rows_tornado",
    "test.transports.rows_aiohttp",
    "test.transports.rows_asgi",
    "test.transports.rows_wsgi",
)
CASES = (
    "test.transports.cases_messages",
    "test.transports.cases_closing",
    "test.transports.cases_handshake",
    "test.transports.cases_load",
    "test.transports.cases_client",
    "test.transports.cases_pulling",
    "test.transports.cases_functions",
)
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "transports.md"


@dataclass(frozen=True, kw_only=True)
class Options:
    """Hold what a server or client is to be set to; plain values, so that JSON carries them.

    ``limits`` are the fields of `Limits` that differ from `QUIET`. ``tls``: the certificates are
    those of tls.py. A client that is to ``distrust`` does not know their authority.
    """

    limits: Mapping[str, Any] = field(default_factory=dict)
    protocols: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    deflate: bool = False
    tls: bool = False
    heartbeat_freq: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    distrust: bool = False
    max_connections: int | None = None

    def to_json(self) -> str:
        """Write them for another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Options:
        """Read what `to_json` wrote."""
        found = json.loads(text)
        found["headers"] = tuple(map(tuple, found["headers"]))
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in found.items()})

    @property
    def all_limits(self) -> Limits:
        """Make the limits."""
        return replace(QUIET, **self.limits)


# What differs from host to host where the same code drives the connections: what comes before a
# WebSocket is ours, what the host does to it behind our back, and how it ends.
SHORT_PASS = frozenset(
    {
        *("echo_text_of_every_size", "bytes_behind_the_handshake_are_not_lost", "tls_carries_it_all"),
        *("the_request_is_in_environ", "tls_is_in_environ", "a_bad_request_is_400", "a_plain_request_is_426"),
        "an_encoded_path_is_found",
        *("a_body_is_refused", "another_method_is_405", "the_peer_closes", "the_server_closes"),
        *("nothing_counts_behind_a_close", "a_connection_that_is_reset_is_1006", "tls_ends_well"),
        *("connections_that_do_nothing_cost_nothing", "drain_closes_all_with_1001"),
        *("a_function_serves", "a_function_is_drained", "a_function_may_not_end"),
    }
)
# Nothing of the keepalive in a case that is not about it.
QUIET = Limits(ping_interval=None, open_timeout=30, close_timeout=30)


class RunningServer(Protocol):
    """Be a server that serves `handlers.ROUTES`."""

    @property
    def address(self) -> tuple[str, int]:
        """The address to connect to."""

    def stop(self) -> None:
        """Close every connection with 1001, as a good end of the program does, and wait until all
        is over; twice is no harm."""


class RunningClient(Protocol):
    """Be a client that connects, or has tried to."""

    def wait(self, seconds: float = WAIT) -> None:
        """Wait until its connection has ended, and let go of everything; ``seconds`` is for what hangs."""


class Row(ABC):
    """Be one line of the table: a kind of server or client.

    ``needs`` are modules without which it cannot run here. ``leaves_out`` maps the name of a case
    to the reason why this row does not keep it. ``async_hooks``: hooks may be ``async def``.
    ``send_blocks``: `send` waits for a slow peer by itself; otherwise it is to be awaited.
    ``deflates``: permessage-deflate is ours, not the host's.

    ``like`` names the row that drives its connections by the same code and keeps the whole contract:
    this one then runs the cases of `SHORT_PASS`, which are about what the host does.
    """

    name: str
    needs: tuple[str, ...] = ()
    leaves_out: Mapping[str, str] = MappingProxyType({})
    async_hooks: bool = False
    send_blocks: bool = True
    deflates: bool = True
    like: str = ""

    def cases(self, cases: Mapping[str, Case]) -> list[Case]:
        """Pick the cases that are made for this row, those that it leaves out included."""
        return [case for case in cases.values() if case.when(self) and (not self.like or case.name in SHORT_PASS)]

    def why_not(self) -> str | None:
        """Say why the row cannot be run here, None if it can."""
        missing = [name for name in self.needs if find_spec(name) is None]
        return f"{self.name} needs {', '.join(missing)}" if missing else None

    def __repr__(self) -> str:
        return self.name


class ServerRow(Row):
    """Start a kind of server. ``functions``: `handlers.routes` are served, with a function among them."""

    functions: bool = False

    @abstractmethod
    def start(self, options: Options) -> RunningServer:
        """Serve `handlers.ROUTES` at a free port of 127.0.0.1; it accepts when this returns."""


class ClientRow(Row):
    """Run a kind of client. ``pulls``: the pull API is there, and `pull` runs it."""

    pulls: bool = False

    @abstractmethod
    def start(self, hooks: str, url: str, options: Options) -> RunningClient:
        """Connect ``handlers.client_class(hooks, base)`` to ``url``.

        What `connect` raises is noted as ``failed``, by `handlers.note_failure`.
        """

    def pull(self, script: str, url: str, options: Options) -> RunningClient:
        """Connect by the pull API and run ``scripts.SCRIPTS[script]`` with the URL's tag."""
        raise NotImplementedError(f"{self.name} has no pull API")


@dataclass(frozen=True)
class Case:
    """Hold one case: a function that takes what runs, and raises AssertionError.

    ``sentence`` says what holds, for the docs. ``fresh``: it needs a server of its own. ``when``
    picks the rows that it is made for, by what they can do; that is not leaving out.
    """

    name: str
    sentence: str
    function: Callable[..., None]
    options: Options
    fresh: bool
    when: Callable[[Any], bool]


SERVER_CASES: dict[str, Case] = {}
CLIENT_CASES: dict[str, Case] = {}

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def server_case(
    sentence: str, *, fresh: bool = False, when: Callable[[Any], bool] = lambda row: True, **options: Any
) -> Decorator:
    """Register a case ``(server: sides.Served) -> None`` under `Options`."""
    return _registrar(SERVER_CASES, sentence, fresh, when, options)


def client_case(sentence: str, *, when: Callable[[Any], bool] = lambda row: True, **options: Any) -> Decorator:
    """Register a case ``(client: sides.Client) -> None`` under `Options`."""
    return _registrar(CLIENT_CASES, sentence, True, when, options)


def _registrar(
    cases: dict[str, Case], sentence: str, fresh: bool, when: Callable[[Any], bool], options: dict[str, Any]
) -> Decorator:
    def register(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__name__
        assert name not in cases, f"two cases are called {name}"
        cases[name] = Case(name, sentence, function, Options(**options), fresh, when)
        return function

    return register


def load_cases() -> None:
    """Import every module of cases."""
    for module in CASES:
        importlib.import_module(module)


class Missing(ServerRow):
    """Stand for the rows of a module that cannot be imported here."""

    def __init__(self, module: str, error: ImportError) -> None:
        self.name = module.rpartition("rows_")[2]
        self._error = error

    def why_not(self) -> str:
        """Say what is missing."""
        return f"{self.name}: {self._error}"

    def start(self, options: Options) -> RunningServer:
        """Fail."""
        raise self._error


@cache
def _rows() -> list[Row]:
    found: list[Row] = []
    for module in ROWS:
        try:
            found += importlib.import_module(module).ROWS
        except ModuleNotFoundError as error:
            found.append(Missing(module, error))
    return found


def missing() -> list[str]:
    """Say which rows cannot be imported here."""
    return [row.why_not() for row in _rows() if isinstance(row, Missing)]


def server_rows() -> list[ServerRow]:
    """Return the rows of servers."""
    return [row for row in _rows() if isinstance(row, ServerRow)]


def client_rows() -> list[ClientRow]:
    """Return the rows of clients."""
    return [row for row in _rows() if isinstance(row, ClientRow)]


# The docs

BEGIN, END = "<!-- made by test.transports.contract -->", "<!-- end of what was made -->"


def docs_table() -> str:
    """Make the part of the docs that lists the rows, the cases, and what is left out."""
    load_cases()
    lines = []
    for title, rows, cases in (
        ("Servers", server_rows(), SERVER_CASES),
        ("Clients", client_rows(), CLIENT_CASES),
    ):
        lines += [
            f"## {title}",
            "",
            "| transport | hooks may be `async def` | `send()` to a slow peer | cases |",
            "| --- | --- | --- | --- |",
        ]
        for row in rows:
            total = row.cases(cases)
            kept = [case for case in total if case.name not in row.leaves_out]
            hooks = "yes" if row.async_hooks else "no: TypeError"
            sends = "blocks" if row.send_blocks else "is awaited"
            rest = f", and of the rest what {row.like} keeps" if row.like else ""
            lines.append(f"| {row.name} | {hooks} | {sends} | {len(kept)} of {len(total)}{rest} |")
        lines += ["", *_left_out(rows, cases)]
    for title, cases in (("What a server keeps", SERVER_CASES), ("What a client keeps", CLIENT_CASES)):
        lines += [f"## {title}", ""]
        lines += [f"- `{case.name}`: {case.sentence}" for case in cases.values()]
        lines.append("")
    return "\n".join(lines)


def _left_out(rows: list[Any], cases: Mapping[str, Case]) -> list[str]:
    left = [
        (row.name, case.name, row.leaves_out[case.name])
        for row in rows
        for case in row.cases(cases)
        if case.name in row.leaves_out
    ]
    if not left:
        return ["None of them leaves a case out.", ""]
    lines = ["| transport | leaves out | because |", "| --- | --- | --- |"]
    lines += [f"| {row} | {name} | {reason} |" for row, name, reason in left]
    return [*lines, ""]


def docs_page() -> str:
    """Return the page as it should be."""
    before, _, rest = DOCS.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{docs_table()}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the page."""
    DOCS.write_text(docs_page(), "utf-8")


if __name__ == "__main__":
    # The cases register themselves in the module of this name, not in __main__.
    importlib.import_module("test.transports.contract").main()
