"""What an endpoint has without a transport."""

from __future__ import annotations

from ws4py_ng.endpoint import NO_TRANSPORT


def test_without_a_transport_nothing_is_guarded() -> None:
    with NO_TRANSPORT.guard, NO_TRANSPORT.fragments:
        assert 0.0 == NO_TRANSPORT.now()
        assert NO_TRANSPORT.written() is None
