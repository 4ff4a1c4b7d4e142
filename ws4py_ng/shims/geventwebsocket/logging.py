"""Make the logger that a server has."""

from __future__ import annotations

import logging

__all__ = ["create_logger"]


def create_logger(name: str, debug: bool = False, format: str | None = None) -> logging.Logger:
    """Return the logger of this name; with ``debug`` it says everything, on standard error."""
    logger = logging.getLogger(name)
    if debug and not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(format))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    return logger
