"""Every row of the protocol, under every way to cut its bytes, under every driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from test.cases import CASES, Case
from test.chunking import chunkings, frames
from test.drivers import Result, by_hand, in_memory, over_sockets
from ws4py_ng.codes import is_sendable

ROWS = [pytest.param(case, role, id=f"{role}: {case.name}") for case in CASES for role in case.roles]


@pytest.mark.parametrize("drive", [by_hand, in_memory, over_sockets])
@pytest.mark.parametrize(("case", "role"), ROWS)
def test_a_row_holds_however_it_is_cut(
    case: Case, role: str, drive: Callable[[Case, str, Sequence[bytes]], Result]
) -> None:
    for how, chunks in chunkings(case.wire(role)):
        result = drive(case, role, chunks)
        assert [("opened",), *case.events] == result.events, how
        assert list(case.out) == result.out, how
        assert result.ending is not None
        assert (case.clean, *case.events[-1][1:]) == (result.ending.clean, *result.ending[:2]), how
        assert [] == result.errors, how


def test_rows_have_names_of_their_own() -> None:
    assert len(CASES) == len({case.name for case in CASES})


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.clean and case.name[:3] != "C08"], ids=lambda case: case.name
)
def test_what_the_rows_call_right_is_right(case: Case) -> None:
    seen = frames(case.wire("client"), masked=False)
    assert all(frame.opcode in (0, 1, 2, 8, 9, 10) for frame in seen)
    assert all(frame.fin and len(frame.payload) <= 125 for frame in seen if frame.opcode >= 8)
    code = case.events[-1][1]
    assert code == 1005 or is_sendable(code)
