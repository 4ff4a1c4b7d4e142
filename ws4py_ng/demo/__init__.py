"""The pages of `ws4py-ng demo`: one that talks to an echo server, and the live dashboard.

Plain HTTP answers beside the WebSockets, from this folder; it knows requests and responses and no server.
"""

from __future__ import annotations

import html
from importlib.resources import files

from .._core import BUILD
from .._version import __version__
from .answering import Files
from .dashboard import DASHBOARD_PATH, LIVE_PATH, page_files

__all__ = ["ECHO_PATH", "Page"]

ECHO_PATH = "/echo"
ICON = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="8" fill="#0f766e"/>
<path d="M6 17h5l3-9 5 16 3-7h4" fill="none" stroke="#fff" stroke-width="2.6" stroke-linejoin="round"/>
</svg>
"""


class Page(Files):
    """Answer requests that are no WebSocket; ``program`` is how the user calls ws4py-ng."""

    def __init__(self, program: str) -> None:
        folder = files(__name__)
        index = folder.joinpath("index.html").read_text("utf-8")
        for name, value in (("version", __version__), ("build", BUILD), ("program", program), ("echo", ECHO_PATH)):
            index = index.replace("{{" + name + "}}", html.escape(value))
        found = {
            "/": ("text/html; charset=utf-8", index.encode()),
            "/app.js": ("text/javascript; charset=utf-8", folder.joinpath("app.js").read_bytes()),
            "/worker.js": ("text/javascript; charset=utf-8", folder.joinpath("worker.js").read_bytes()),
            "/style.css": ("text/css; charset=utf-8", folder.joinpath("style.css").read_bytes()),
            "/favicon.svg": ("image/svg+xml", ICON.encode()),
            # Asked for by browsers that do not look for a <link rel="icon"> first.
            "/favicon.ico": ("image/svg+xml", ICON.encode()),
            **page_files(),
        }
        hint = f"the page is at /, the WebSocket at {ECHO_PATH}; the dashboard is at {DASHBOARD_PATH}"
        Files.__init__(self, found, (ECHO_PATH, LIVE_PATH), hint)
