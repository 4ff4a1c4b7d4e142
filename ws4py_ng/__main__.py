"""`ws4py-ng`, and `python -m ws4py_ng`: where the command line begins."""

from __future__ import annotations

import sys

from .cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
