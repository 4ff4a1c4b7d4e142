"""What ws4py kept for two Pythons."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from ws4py_ng import compat


def test_the_names_of_ws4py_are_there() -> None:
    names: dict[str, Any] = {}
    exec("from ws4py_ng.compat import *", names)
    assert set(compat.__all__) <= set(names)
    assert (True, str, range, urlsplit) == (compat.py3k, compat.unicode, compat.range, compat.urlsplit)
    assert isinstance("a", compat.basestring)
    assert isinstance(b"a", compat.basestring)


@pytest.mark.parametrize(("c", "expected"), [("a", 97), (b"a", 97), (97, 97)])
def test_ord_takes_a_number_as_well(c: Any, expected: int) -> None:
    assert expected == compat.ord(c)


def test_a_file_can_be_parted_from_its_socket() -> None:
    a, b = socket.socketpair()
    with a, b:
        file = a.makefile("rb")
        assert compat.get_connection(file) is a
        compat.detach_connection(file)
        b.sendall(b"x")
        assert b"x" == a.recv(1)
