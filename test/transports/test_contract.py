"""Every transport keeps the contract: each row of the table runs each case that it does not leave out."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from ws4py_ng.transports import fastnet

from .contract import (
    CLIENT_CASES,
    DOCS,
    SERVER_CASES,
    SHORT_PASS,
    Case,
    ClientRow,
    Options,
    RunningServer,
    ServerRow,
    client_rows,
    docs_page,
    load_cases,
    missing,
    server_rows,
)
from .diary import Diary
from .scripts import latches
from .sides import Client, Served
from .tls import write_certificates

load_cases()


def pairs(rows: list[ServerRow] | list[ClientRow], cases: dict[str, Case]) -> list[object]:
    """Pair every row with every case, servers of the same options together."""
    by_options = sorted(cases.values(), key=lambda case: (case.fresh, case.options.to_json()))
    return [
        pytest.param(row, case, id=f"{row.name}-{case.name}")
        for row in rows
        for case in by_options
        if case in row.cases(cases) and case.name not in row.leaves_out
    ]


@pytest.fixture(scope="module")
def diary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Diary]:
    """Collect what hooks note."""
    write_certificates(tmp_path_factory.mktemp("certificates"))
    found = Diary()
    yield found
    for left in latches():
        left.unlink(missing_ok=True)
    found.close()


class Shelf:
    """Keep the last server running, as the next case may need the same."""

    def __init__(self) -> None:
        self._key: tuple[str, str] | None = None
        self._running: RunningServer | None = None

    def get(self, row: ServerRow, options: Options, *, fresh: bool) -> RunningServer:
        """Return a server of this kind with these options."""
        key = row.name, options.to_json()
        if fresh or key != self._key or self._running is None:
            self.close()
            self._running = row.start(options)
            self._key = None if fresh else key
        return self._running

    def close(self) -> None:
        """Stop it."""
        running, self._running, self._key = self._running, None, None
        if running is not None:
            running.stop()


@pytest.fixture(scope="module")
def shelf(diary: Diary) -> Iterator[Shelf]:
    """Hold the running server."""
    found = Shelf()
    yield found
    found.close()


def run_here(row: ServerRow | ClientRow) -> None:
    """Skip a row that cannot be run on this machine."""
    reason = row.why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.mark.parametrize(("row", "case"), pairs(server_rows(), SERVER_CASES))
def test_server(row: ServerRow, case: Case, shelf: Shelf, diary: Diary) -> None:
    run_here(row)
    served = Served(row, shelf.get(row, case.options, fresh=case.fresh), case.options, diary)
    before = len(diary.untagged())
    try:
        case.function(served)
    except BaseException:
        shelf.close()
        raise
    if case.fresh:
        shelf.close()
    gc.collect()
    surplus = diary.untagged()[before + served.expected_logs :]
    assert [] == surplus, "nothing is logged that belongs to no connection"


@pytest.mark.parametrize(("row", "case"), pairs(client_rows(), CLIENT_CASES))
def test_client(row: ClientRow, case: Case, diary: Diary) -> None:
    run_here(row)
    client = Client(row, case.options, diary)
    before = len(diary.untagged())
    try:
        case.function(client)
    finally:
        client.close()
    assert [] == diary.untagged()[before:], "nothing is logged that belongs to no connection"


LOOPS = ("asyncio", "uvloop")


@pytest.mark.parametrize(
    ("row", "case"),
    pairs(
        [row for row in server_rows() if row.name in LOOPS],
        {name: case for name, case in SERVER_CASES.items() if case.options.tls},
    ),
)
def test_a_loop_keeps_it_by_a_tls_of_its_own(
    row: ServerRow, case: Case, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(fastnet.ENVIRONMENT, "0")
    with contextlib.closing(Shelf()) as shelf:
        test_server(row, case, shelf, diary)


@pytest.mark.parametrize(
    ("row", "case"),
    pairs(
        [row for row in client_rows() if row.name in LOOPS],
        {name: case for name, case in CLIENT_CASES.items() if case.options.tls},
    ),
)
def test_so_does_a_client(row: ClientRow, case: Case, diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fastnet.ENVIRONMENT, "0")
    test_client(row, case, diary)


def test_what_is_left_out_has_a_reason() -> None:
    for rows, cases in ((server_rows(), SERVER_CASES), (client_rows(), CLIENT_CASES)):
        for row in rows:
            assert set(row.leaves_out) <= set(cases)
            assert all(len(reason) > 20 for reason in row.leaves_out.values())


def test_who_runs_a_short_pass_is_like_a_row_that_runs_them_all() -> None:
    whole = {row.name for row in server_rows() if not row.like}
    for row in server_rows():
        assert not row.like or row.like in whole, row
    assert set(SERVER_CASES) >= SHORT_PASS


def test_the_table_in_the_docs_is_this_one() -> None:
    if missing():
        pytest.skip("; ".join(missing()))
    assert docs_page() == Path(DOCS).read_text("utf-8"), "python -m test.transports.contract writes it"
