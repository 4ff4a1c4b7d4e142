"""Other libraries' names over this one: for programs that were written for them.

A program that can be edited imports ``ws4py_ng.shims.simple_websocket`` instead of
``simple_websocket``, and so on. One that cannot be edited is started by a few lines that call
`install` before they import it. docs/migrating says what differs.

The shims know names and manners only. Frames, closing, limits and transports are ours.
"""

from __future__ import annotations

from .aliases import install, install_as_ws4py

__all__ = ["install", "install_as_ws4py"]
