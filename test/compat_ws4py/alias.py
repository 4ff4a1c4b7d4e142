"""A pytest plugin that answers ``import ws4py`` with ``ws4py_ng``, for ws4py's own tests.

What `install_as_ws4py` does not change, a user changes by ``s/ws4py/ws4py_ng/``; here it is done
below: the name of the logger that `configure_logger` sets up.
"""

from __future__ import annotations

import logging

import ws4py_ng


def pytest_configure() -> None:
    """Take over before the first test file is imported."""
    ws4py_ng.install_as_ws4py()
    get_logger = logging.getLogger

    def renaming_get_logger(name: str | None = None) -> logging.Logger:
        return get_logger("ws4py_ng" if name == "ws4py" else name)

    logging.getLogger = renaming_get_logger
