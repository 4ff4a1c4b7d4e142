"""HAR files of browsers, in and out: their WebSocket messages (``_webSocketMessages``).

A HAR has messages, not bytes. Read, each becomes the frame that it may have been.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .._version import __version__
from ..codes import TEXT
from ..handshake import Request, Response
from .model import inspect
from .reading import CaptureError, Connection, Recording
from .rebuilt import add_frame, headers_of, rebuilt

__all__ = ["read_har", "to_har"]


def read_har(path: str | os.PathLike[str]) -> Recording:
    """Read the WebSockets of a HAR. Raises CaptureError for what is none."""
    recording = Recording(source=str(path))
    try:
        document = json.loads(Path(path).read_bytes())
        entries = document["log"]["entries"]
        found = [entry for entry in entries if entry.get("_webSocketMessages") is not None]
        recording.connections = [_connection(entry) for entry in found]
        recording.lacks = f"none of its {len(entries)} entries has _webSocketMessages, as a browser writes them"
    except json.JSONDecodeError as error:
        raise CaptureError(f"{path} is no HAR: at byte {error.pos}: {error.msg}") from error
    except KeyError as error:
        raise CaptureError(f"{path} is no HAR: there is no {error} where there should be one") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CaptureError(f"{path} is no HAR: {type(error).__name__} {error}") from error
    return recording


def _connection(entry: dict[str, Any]) -> Connection:
    begun = datetime.fromisoformat(entry["startedDateTime"].replace("Z", "+00:00")).timestamp()
    asked, answered = entry["request"], entry["response"]
    url = urlsplit(asked["url"])
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = Request("GET", target, headers_of(_pairs(asked)))
    response = Response(int(answered.get("status") or 101), headers_of(_pairs(answered)))
    made = rebuilt("har", url.scheme in ("wss", "https"), begun, request, response)
    for message in entry["_webSocketMessages"]:
        opcode, data = int(message["opcode"]), str(message["data"])
        if not 0 <= opcode <= 15:
            raise ValueError(f"opcode {opcode}")
        payload = data.encode("utf-8", "surrogatepass") if opcode == TEXT else base64.b64decode(data)
        add_frame(made, float(message["time"]), message["type"] == "send", opcode, payload)
    return made


def _pairs(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for header in part.get("headers", ()):
        yield str(header["name"]), str(header["value"])


def to_har(recording: Recording) -> dict[str, Any]:
    """Give the WebSockets of a recording as a HAR, for ``json.dump``; control frames are left out."""
    entries = [_entry(connection) for connection in recording.connections]
    creator = {"name": "ws4py_ng", "version": __version__}
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": [e for e in entries if e]}}


def _entry(connection: Connection) -> dict[str, Any] | None:
    found = inspect(connection)
    request, response = found.conversation.request, found.conversation.response
    if request is None or response is None:
        return None
    start = connection.chunks[0].time
    scheme = "wss" if connection.about.get("secure") else "ws"
    messages = [
        {
            "type": "send" if row.from_client else "receive",
            "time": start + row.time,
            "opcode": 1 if row.is_text else 2,
            "data": row.text if row.is_text else base64.b64encode(row.data).decode("ascii"),
        }
        for row in found.messages
    ]
    total = (connection.chunks[-1].time - start) * 1000
    return {
        "startedDateTime": _date(start),
        "time": total,
        "request": {
            "method": request.method,
            "url": f"{scheme}://{request.headers.get('Host', 'localhost')}{request.target}",
            "httpVersion": request.version,
            "cookies": [],
            "headers": [{"name": name, "value": value} for name, value in request.headers.items()],
            "queryString": [],
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": response.status,
            "statusText": response.status_text.partition(" ")[2],
            "httpVersion": response.version,
            "cookies": [],
            "headers": [{"name": name, "value": value} for name, value in response.headers.items()],
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": total},
        "_resourceType": "websocket",
        "_webSocketMessages": messages,
    }


def _date(time: float) -> str:
    """Show a time, which may be any in a file that is damaged."""
    try:
        return datetime.fromtimestamp(time, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC).isoformat()
