"""The sockets that several processes accept on together."""

from __future__ import annotations

import os

import pytest

from ws4py_ng.workers.listening import listen


@pytest.mark.parametrize("spreads", [True, False])
def test_no_copy_of_a_shared_socket_makes_it_block_for_the_others(spreads: bool) -> None:
    sockets = list(dict.fromkeys(sock for slot in listen("127.0.0.1", 0, 2, spreads) for sock in slot))
    try:
        for sock in sockets:
            # Whether it blocks is a flag that all copies share, those in other processes too.
            with sock.dup():
                assert not os.get_blocking(sock.fileno())
    finally:
        for sock in sockets:
            sock.close()
