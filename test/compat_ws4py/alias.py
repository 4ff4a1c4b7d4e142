"""A pytest plugin that answers ``import ws4py`` with ``ws4py_ng``, for ws4py's own tests."""

from __future__ import annotations

import ws4py_ng


def pytest_configure() -> None:
    """Take over before the first test file is imported."""
    ws4py_ng.install_as_ws4py()
