"""Flows that mitmproxy wrote (``mitmdump -w FILE``), by its own reader (the extra ``mitmproxy``).

A flow has messages, not bytes: whole and inflated, and how the connection was closed. Pings are not in it,
nor what an addon of mitmproxy dropped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..codes import ABNORMAL_CLOSURE, BINARY, CLOSE, NO_STATUS_RECEIVED, TEXT
from ..handshake import Request, Response
from .blocks import Problem
from .reading import CaptureError, Connection, Recording
from .rebuilt import add_end, add_frame, headers_of, rebuilt

__all__ = ["read_flows"]

# What comes of flows whose fields are not what mitmproxy wrote.
_NONSENSE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RecursionError)


def _mitmproxy() -> Any:
    try:
        from mitmproxy import exceptions, io
    except ImportError as error:
        raise ImportError("Reading flows needs mitmproxy: pip install 'ws4py-ng[mitmproxy]'") from error
    return io.FlowReader, exceptions.FlowReadException


def read_flows(path: str | os.PathLike[str]) -> Recording:
    """Read the WebSockets of a file of flows.

    Raises CaptureError for a file of which no flow can be read, ImportError without mitmproxy.
    """
    flow_reader, damage = _mitmproxy()
    recording = Recording(source=str(path))
    whole = number = 0
    with Path(path).open("rb") as file:
        try:
            for flow in flow_reader(file).stream():
                if getattr(flow, "websocket", None) is not None and flow.response is not None:
                    recording.connections.append(_connection(flow))
                whole = file.tell()
                number += 1
        except (damage, *_NONSENSE) as error:
            problem = Problem(whole, f"a flow that cannot be read: {error or type(error).__name__}")
            if not whole:
                raise CaptureError(f"{path} cannot be read, {problem}") from error
            recording.problems.append(problem)
    recording.lacks = f"none of its {number} flows is a WebSocket"
    return recording


def _connection(flow: Any) -> Connection:
    asked, answered, seen = flow.request, flow.response, flow.websocket
    request = Request(asked.method, asked.path, headers_of(asked.headers.items(multi=True)))
    response = Response(answered.status_code, headers_of(answered.headers.items(multi=True)))
    made = rebuilt("mitmproxy", asked.scheme == "https", asked.timestamp_start, request, response)
    for message in seen.messages:
        opcode = int(message.type)
        if opcode not in (TEXT, BINARY):
            raise ValueError(f"a message of opcode {opcode}")
        if not message.dropped:
            add_frame(made, message.timestamp, bool(message.from_client), opcode, message.content)
    if seen.close_code is not None:
        _end(made, seen.timestamp_end or made.chunks[-1].time, seen)
    return made


def _end(made: Connection, time: float, seen: Any) -> None:
    """Close as it was closed; the other side's answer is not known."""
    code, outgoing = int(seen.close_code), bool(seen.closed_by_client)
    if code == NO_STATUS_RECEIVED:
        add_frame(made, time, outgoing, CLOSE, b"")
    elif code != ABNORMAL_CLOSURE:
        add_frame(made, time, outgoing, CLOSE, code.to_bytes(2, "big") + (seen.close_reason or "").encode())
    add_end(made, time, outgoing)
