"""Where gevent-websocket has its validator of UTF-8."""

from __future__ import annotations

from ...utf8validator import Utf8Validator

__all__ = ["Utf8Validator"]
