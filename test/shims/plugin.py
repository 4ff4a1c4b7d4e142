"""A pytest plugin: have the names in ``WS4PY_NG_INSTALL`` answered by ws4py_ng, before a test imports them."""

from __future__ import annotations

import os

from ws4py_ng.shims import install

names = os.environ.get("WS4PY_NG_INSTALL", "").split()
if names:
    install(*names)
