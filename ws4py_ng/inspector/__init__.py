"""The page of `ws4py-ng inspect --html` and `--web`: a recording, to be looked at in a browser.

`data` says what is in it, `page` puts it and the files of this folder into one, `site` serves that.
It knows captures and no command line.
"""

from __future__ import annotations

from .data import Wanted, encode
from .page import page
from .site import Site

__all__ = ["Site", "Wanted", "encode", "page"]
