"""A live dashboard: temperatures of some rooms, pushed as they come, to any number of browsers.

`rooms` is the server, `producer` what is shown, `slow` a viewer who cannot keep up; the page is beside
them. `make demo` serves it by threads, `example/dashboard` in an event loop, with a bus on demand.
"""

from __future__ import annotations

from importlib.resources import files

from .rooms import DEFAULT_ROOMS, LIMITS, LIVE_PATH, Dashboard
from .slow import SlowViewer

__all__ = ["DASHBOARD_PATH", "DEFAULT_ROOMS", "LIMITS", "LIVE_PATH", "Dashboard", "SlowViewer", "page_files"]

DASHBOARD_PATH = "/dashboard"
KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css"}
NAMES = ("app.js", "live.js", "room.js", "style.css", "uplot/uPlot.iife.min.js", "uplot/uPlot.min.css")


def page_files() -> dict[str, tuple[str, bytes]]:
    """Return the files of the page: path -> (content type, body)."""
    folder = files(__name__)
    paths = {DASHBOARD_PATH: "index.html", **{f"{DASHBOARD_PATH}/{name}": name for name in NAMES}}
    return {
        path: (f"{KINDS[name.rpartition('.')[2]]}; charset=utf-8", folder.joinpath(name).read_bytes())
        for path, name in paths.items()
    }
