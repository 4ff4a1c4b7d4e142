"""One file of HTML: the files of this folder, and the data as base64, which no data can leave."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

__all__ = ["SCRIPTS", "page"]

SCRIPTS: Final = ("data.js", "list.js", "timeline.js", "detail.js", "page.js")
"""In the order in which they stand in the page."""

# Only the script and the style of the page itself run, by their hashes: what is in a payload never does.
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; connect-src {connect}; "
    "base-uri 'none'; form-action 'none'"
)


def page(data: bytes, *, follow: bool = False) -> bytes:
    """Make the page for what `encode` has returned. With ``follow`` it asks its server for newer data."""
    folder = files(__package__)
    style = folder.joinpath("page.css").read_text("utf-8")
    script = "".join(folder.joinpath(name).read_text("utf-8") for name in SCRIPTS)
    policy = _POLICY.format(script=_hash(script), style=_hash(style), connect="'self'" if follow else "'none'")
    parts = {
        "policy": policy,
        "style": style,
        "script": script,
        "follow": "true" if follow else "false",
        "data": base64.b64encode(data).decode(),
    }
    before, *rest = folder.joinpath("page.html").read_text("utf-8").split("{{")
    return "".join(
        [before, *(parts[name] + text for name, _, text in (each.partition("}}") for each in rest))]
    ).encode()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
