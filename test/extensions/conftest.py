"""Whoever can deflate here, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from test.extensions.engine_table import SETS, engines_of
from ws4py_ng.extensions import engines
from ws4py_ng.extensions.engines import Engines


@pytest.fixture(scope="module", params=SETS, ids="+".join)
def chosen(request: pytest.FixtureRequest) -> Iterator[Engines]:
    """Let some libraries deflate, and no others."""
    before = engines._chosen
    engines._chosen = engines_of(request.param)
    yield engines._chosen
    engines._chosen = before
