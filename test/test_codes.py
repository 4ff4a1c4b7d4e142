"""The numbers of RFC 6455 5.2 and 7.4."""

from __future__ import annotations

import pytest

from ws4py_ng import codes


def test_opcodes_are_those_of_rfc_6455_5_2() -> None:
    named = (codes.CONTINUATION, codes.TEXT, codes.BINARY, codes.CLOSE, codes.PING, codes.PONG)
    assert (0, 1, 2, 8, 9, 10) == named
    assert frozenset(named) == codes.OPCODES
    assert codes.OPCODES == set(codes.OPCODE_NAMES)


def test_a_close_frame_has_room_for_a_code_and_123_bytes() -> None:
    assert (125, 123) == (codes.MAX_CONTROL_PAYLOAD, codes.MAX_CLOSE_REASON)


def test_the_codes_that_may_be_sent_are_those_of_the_registry() -> None:
    right = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
    assert right == {code for code in range(-1, 70000) if codes.is_sendable(code)}


def test_codes_that_only_report_are_never_sent() -> None:
    assert {1005, 1006, 1015} == codes.LOCAL_CODES
    assert [] == [code for code in codes.LOCAL_CODES if codes.is_sendable(code)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1000, "1000 (normal closure)"),
        (1006, "1006 (abnormal closure)"),
        (1009, "1009 (message too big)"),
        (3000, "3000 (library)"),
        (3999, "3999 (library)"),
        (4000, "4000 (application)"),
        (4999, "4999 (application)"),
        (1004, "1004 (unknown)"),
        (5000, "5000 (unknown)"),
        (0, "0 (unknown)"),
    ],
)
def test_a_code_is_named_for_people(code: int, expected: str) -> None:
    assert expected == codes.describe(code)
