"""Listening on a path: what is left of a dead server is replaced, what somebody serves is not."""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from pathlib import Path

import pytest

from ws4py_ng.server.listening import listen_unix


def test_the_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(path)
    with closing(listen_unix(path)) as ours, closing(socket.socket(socket.AF_UNIX)) as peer:
        peer.connect(path)
        assert ours.getsockname() == path


@pytest.mark.parametrize("backlog", [5, 0])
def test_the_socket_of_a_server_that_lives_stays(tmp_path: Path, backlog: int) -> None:
    path = str(tmp_path / "sock")
    with closing(socket.socket(socket.AF_UNIX)) as alive, closing(socket.socket(socket.AF_UNIX)) as first:
        alive.bind(path)
        alive.listen(backlog)
        first.connect(path)  # with no backlog nobody else comes through
        with pytest.raises(OSError, match=r"Cannot listen on .*sock: a server listens there") as refused:
            listen_unix(path)
        assert errno.EADDRINUSE == refused.value.errno


def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    path.write_text("a letter")
    with pytest.raises(OSError, match="Cannot listen on"):
        listen_unix(str(path))
    assert "a letter" == path.read_text()
