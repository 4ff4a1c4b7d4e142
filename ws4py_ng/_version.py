"""The version, for the package and for its metadata."""

from __future__ import annotations

__version__ = "0.1.0"
