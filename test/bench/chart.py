"""Draw the chart of the README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

from .cases import CASES, Case
from .report import figure_of
from .run import Results, Series

matplotlib.use("svg")

PANELS = ("echo-32-many", "echo-1k-many", "echo-64k", "echo-32-one")
# One program for each library, so that the chart can be read; the tables have them all.
SHOWN = {
    "raw/asyncio": "no WebSocket, asyncio",
    "ng/asyncio": "ws4py_ng, asyncio",
    "ng/asyncio/pure": "ws4py_ng, asyncio, pure",
    "ng/threads": "ws4py_ng, threads",
    "ng/gevent": "ws4py_ng, gevent",
    "picows": "picows",
    "aiohttp": "aiohttp",
    "websockets": "websockets",
    "uvicorn/wsproto": "uvicorn, wsproto",
    "gevent-websocket": "gevent-websocket",
    "simple-websocket": "simple-websocket",
    "eventlet": "eventlet",
    "tornado": "tornado",
    "ws4py/gevent": "ws4py, gevent",
}
OURS, THEIRS, LIMIT = "#1f6f8b", "#b8bec4", "#e0a458"


def draw(results: Results, path: Path) -> None:
    """Draw CPU per message, a panel for each case, and write it as SVG."""
    from matplotlib import pyplot

    panels = [case for case in PANELS if case in results]
    with matplotlib.rc_context({"svg.hashsalt": "ws4py_ng", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = pyplot.subplots(2, 2, figsize=(11, 8.4), layout="constrained")
        for axis, case in zip(axes.flat, panels, strict=False):
            _panel(axis, CASES[case], results[case])
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        figure.suptitle("Echo servers: CPU time of the server per message (less is better, logarithmic)")
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    # No spaces at the ends of lines, which matplotlib leaves.
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines()))


def _panel(axis: Any, case: Case, found: dict[str, Series]) -> None:
    shown = sorted(
        ((found[name].median / 1000, name) for name in SHOWN if name in found and found[name].samples), reverse=True
    )
    if not shown:
        return
    colours = [LIMIT if n.startswith("raw/") else OURS if n.startswith("ng/") else THEIRS for _, n in shown]
    bars = axis.barh([SHOWN[name] for _, name in shown], [cost for cost, _ in shown], color=colours)
    axis.bar_label(bars, [figure_of(case, cost * 1000) for cost, _ in shown], padding=3)
    axis.set_xscale("log")
    axis.set_xlim(shown[-1][0] / 2, shown[0][0] * 4)
    axis.set_title(case.title)
    axis.spines[["top", "right"]].set_visible(False)
