"""What the tests of the asyncio transport share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

Main = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def run(caplog: pytest.LogCaptureFixture) -> Callable[[Main], None]:
    """Run a coroutine; asyncio has nothing to complain of."""

    def run_it(main: Main) -> None:
        with caplog.at_level(logging.WARNING):
            asyncio.run(main(), debug=True)
        assert [] == [entry for entry in caplog.records if entry.name == "asyncio" and "took" not in entry.msg]

    return run_it
