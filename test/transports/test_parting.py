"""The end of an asyncio connection."""

from __future__ import annotations

from typing import Any

import pytest

from ws4py_ng.transports import parting

from .fake_transport import Spy, adopt
from .peers import frame

MIB = 1024 * 1024
WAIT = 60.0


# The end


@pytest.mark.parametrize("tls", [False, True])
def test_a_close_frame_is_not_swallowed(run: Any, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parting, "QUIET", 0.01)

    async def main() -> None:
        transport, carrier = adopt(Spy(), tls=tls)
        transport.feed(frame(1, b"\xff", mask=True))
        assert carrier.has_ended
        assert not transport.closing, "the peer may still send"
        transport.feed(b"more")
        if not tls:
            assert transport.ended
            transport.protocol.eof_received()
        await carrier.wait_gone()
        assert not transport.aborted

    run(main)


def test_a_peer_that_never_hangs_up_is_cut_off(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parting, "LINGER", 0.01)

    async def main() -> None:
        transport, carrier = adopt(Spy())
        transport.feed(frame(8, b"\x03\xe8", mask=True))
        assert carrier.has_ended
        await carrier.wait_gone()
        assert transport.aborted

    run(main)


def test_terminate_in_a_hook_ends_it(run: Any) -> None:
    class Quitter(Spy):
        def received_message(self, message: Any) -> Any:
            super().received_message(message)
            self.terminate()

    async def main() -> None:
        ws = Quitter()
        transport, carrier = adopt(ws)
        transport.message("a", "b")
        await carrier.wait_gone()
        assert ["a", 1006] == ws.seen
        assert transport.aborted

    run(main)
