"""What the tests of servers share."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from test.client.peers import certificates

from .aiopeers import WAIT, Run
from .wsgi_hosts import CERTIFICATE, KEY


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write the certificate of a server; return the environment that names the files."""
    folder = tmp_path_factory.mktemp("tls")
    server = certificates().server
    server.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    server.private_key_pem.write_to_path(str(folder / "server.key"))
    return {CERTIFICATE: str(folder / "server.pem"), KEY: str(folder / "server.key")}


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[Run]:
    """Run a coroutine in a loop of each kind; asyncio has nothing to complain of."""
    new_loop = asyncio.new_event_loop if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop

    def run_it(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def bounded() -> None:
            asyncio.get_running_loop().slow_callback_duration = WAIT
            async with asyncio.timeout(WAIT):
                await main()

        with asyncio.Runner(loop_factory=new_loop, debug=True) as runner:
            runner.run(bounded())

    caplog.set_level(logging.WARNING)
    yield run_it
    gc.collect()
    assert [] == [entry.getMessage() for entry in caplog.records if entry.name == "asyncio"]
