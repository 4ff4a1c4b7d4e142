"""`ws4py-ng inspect`: a recording as a table in the terminal, as JSON Lines, or as a page."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from ..capture import CaptureError, Recording
from ..capture.conversation import Conversation
from ..capture.frames import NAMES, hex_dump, name_of
from ..capture.model import FrameRow, Inspection, MessageRow
from ..capture.sources import load
from ..inspector import Wanted
from . import inspect_page, options
from .console import Failure, complain, note, printable, say
from .growing import Growing
from .looking import Looks

__all__ = ["add_command", "load_or_fail"]

EPILOG = """\
Reads captures (.wscap, .gz), HAR, pcap and pcapng of plain TCP (pip install 'ws4py-ng[pcap]'), and flows
of mitmproxy (pip install 'ws4py-ng[mitmproxy]').
Each line is a frame: time, direction, kind, bytes, compression, and what it says. An exclamation
mark is a violation of RFC 6455. What is damaged in the file is told on standard error.
--html writes one file that any browser shows, without a network; only its owner can read it, as a
capture. --web serves the same to this machine. Both have the rows that the filters let through.
Authorization and cookies are asterisks, whoever recorded them; --redact names what else is secret.

exit status:
  0  shown
  1  no capture, or nothing in it that could be read
  2  wrong usage
"""
WIDTH = 100
MAX_OPCODE = 15
POLL = 0.2


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "inspect",
        help="show a recording",
        description="Show the frames and messages of a recording.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--connection", metavar="N", type=options.place, help="show this one only, from 0")
    parser.add_argument("--from", dest="side", choices=("client", "server"), help="show what this side sent")
    parser.add_argument(
        "--opcode",
        metavar="NAME",
        type=_opcode,
        action="append",
        help="text, ping, close …, or 0 to 15; may be repeated",
    )
    parser.add_argument("--min-size", metavar="BYTES", type=options.size, default=0, help="show nothing smaller")
    parser.add_argument("--text", metavar="REGEX", type=_pattern, help="show what says this")
    parser.add_argument("--messages", action="store_true", help="show messages, whole and inflated, not frames")
    parser.add_argument("--html", metavar="OUT", help="write a page for a browser to this file")
    parser.add_argument("--web", action="store_true", help="serve that page on 127.0.0.1, until Ctrl-C")
    parser.add_argument("--open", action="store_true", help="with --web: open it in the browser")
    parser.add_argument("--har", metavar="OUT", help="write the messages as a HAR to this file")
    parser.add_argument("--hex", action="store_true", help="dump each frame as well")
    parser.add_argument("--json", action="store_true", help="print JSON Lines: a connection, then each row")
    parser.add_argument("--follow", action="store_true", help="go on while the file grows, until Ctrl-C")
    options.add_secrets(parser)
    parser.set_defaults(run=run, parser=parser)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


def _opcode(text: str) -> str:
    """Read a name or a number, and give what `Frame.name` says of it."""
    if text.isascii() and text.isdigit() and int(text) <= MAX_OPCODE:
        return name_of(int(text))
    if text.lower() not in NAMES.values():
        raise argparse.ArgumentTypeError(
            f"{text!r}, expected {', '.join(NAMES.values())}, or a number up to {MAX_OPCODE}"
        )
    return text.lower()


def run(arguments: argparse.Namespace) -> int:
    """Show a file."""
    _check(arguments)
    if arguments.follow:
        shown: dict[int, int] = {}
        with closing(Growing(arguments.file)) as growing:
            if arguments.web:
                return inspect_page.serve_growing(arguments, growing, _wanted(arguments))
            looks = Looks(arguments)
            while True:
                if growing.read():
                    _show(arguments, looks.at(growing.recording), shown)
                else:
                    time.sleep(POLL)
    recording = load_or_fail(arguments.file)
    status = _view(arguments, recording)
    if Path(recording.source) != Path(arguments.file):
        note(f"ws4py-ng: a connection begins in an earlier part: read {printable(recording.source)}")
    for problem in recording.problems:
        note(f"ws4py-ng: {printable(arguments.file)}, {printable(str(problem))}")
    return status


def _view(arguments: argparse.Namespace, recording: Recording) -> int:
    """Show a recording that is complete."""
    try:
        recording.connection(arguments.connection or 0)
    except CaptureError as error:
        complain(str(error))
        return 1
    if arguments.html:
        return inspect_page.write_page(arguments, recording, _wanted(arguments))
    if arguments.web:
        return inspect_page.serve_page(arguments, recording, _wanted(arguments))
    if arguments.har:
        return inspect_page.write_har(arguments, recording)
    _show(arguments, Looks(arguments).at(recording), {})
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    views = [name for name in ("html", "web", "har", "json", "hex") if getattr(arguments, name)]
    if len(views) > 1 and views != ["json", "hex"]:
        arguments.parser.error(f"--{views[0]} and --{views[1]}: choose one")
    if arguments.follow and (arguments.html or arguments.har):
        arguments.parser.error(f"--{views[0]} is written once: --web goes with --follow")
    if arguments.har and _wanted(arguments) is not None:
        arguments.parser.error("--har has all messages: leave the filters out")
    if arguments.messages and arguments.opcode and not {"text", "binary"} & set(arguments.opcode):
        arguments.parser.error(f"--opcode {arguments.opcode[0]} is none of --messages, which are text or binary")
    if arguments.open and not arguments.web:
        arguments.parser.error("--open goes with --web")


def _wanted(arguments: argparse.Namespace) -> Wanted | None:
    """Give the filters as a function; None if there are none."""
    filters = (arguments.side, arguments.opcode, arguments.min_size, arguments.text)
    return partial(_is_wanted, arguments) if any(filters) else None


def load_or_fail(path: str) -> Recording:
    """Read a recording of whatever kind; raises Failure that says what it is not."""
    try:
        return load(path)
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror or error}") from error
    except (CaptureError, ImportError) as error:
        raise Failure(str(error)) from error


def _show(arguments: argparse.Namespace, seen: Iterable[tuple[int, Inspection]], shown: dict[int, int]) -> None:
    """Show what was not shown yet."""
    for number, found in seen:
        rows: list[Any] = list(found.messages if arguments.messages else found.frames)
        if number not in shown and (found.conversation.chunks or not arguments.follow):
            _say_head(arguments, number, found)
            shown[number] = 0
        for row in rows[shown.get(number, 0) :]:
            if _is_wanted(arguments, row):
                _say_row(arguments, number, row)
        if number in shown:
            shown[number] = len(rows)
        if not arguments.follow and not arguments.json:
            _say_summary(found)


def _is_wanted(arguments: argparse.Namespace, row: FrameRow | MessageRow) -> bool:
    kind = row.frame.name if isinstance(row, FrameRow) else "text" if row.is_text else "binary"
    size = row.frame.size if isinstance(row, FrameRow) else row.size
    return (
        (arguments.side is None or (arguments.side == "client") is row.from_client)
        and (not arguments.opcode or kind in arguments.opcode)
        and size >= arguments.min_size
        and (arguments.text is None or arguments.text.search(row.text) is not None)
    )


def _say_head(arguments: argparse.Namespace, number: int, found: Inspection) -> None:
    conversation = found.conversation
    if arguments.json:
        about = found.to_dict()
        say(json.dumps({"row": "connection", "number": number} | {k: about[k] for k in _HEAD_KEYS}))
        return
    say(f"connection {number}: {printable(_heading(conversation))}")
    for head in (conversation.request_head, conversation.response_head):
        if head.fault:
            say(f"  ! {printable(head.fault)}")


_HEAD_KEYS = ("connection", "request", "response", "faults", "latencies", "longest_gap", "close", "violations", "ends")


def _heading(conversation: Conversation) -> str:
    about, request, response = conversation.connection.about, conversation.request, conversation.response
    parts = [f"seen by the {conversation.connection.role}"]
    if about.get("transport"):
        parts.append(str(about["transport"]))
    if request is not None:
        parts.append(f"{request.method} {request.target}")
    if response is not None:
        parts.append(response.status_text)
        parts += response.headers.get_all("Sec-WebSocket-Protocol") + response.headers.get_all(
            "Sec-WebSocket-Extensions"
        )
    if conversation.connection.continued:
        parts.append("begins in an earlier part")
    return ", ".join(parts)


def _say_row(arguments: argparse.Namespace, number: int, row: Any) -> None:
    if arguments.json:
        kind = "frame" if isinstance(row, FrameRow) else "message"
        text = {"text": row.text} if isinstance(row, FrameRow) else {}
        told = {"row": kind, "connection": number} | row.to_dict() | text
        say(json.dumps(told, ensure_ascii=sys.stdout.encoding != "utf-8"))
        return
    say(_frame_line(row) if isinstance(row, FrameRow) else _message_line(row))
    if arguments.hex:
        data = row.frame.raw if isinstance(row, FrameRow) else row.data
        say(hex_dump(data, row.frame.offset if isinstance(row, FrameRow) else 0, lines=1 << 20))


def _frame_line(row: FrameRow) -> str:
    frame = row.frame
    marks = ("" if frame.fin else "…") + ("z" if frame.rsv & 4 else "")
    more = f"  {row.latency * 1000:.3f} ms" if row.latency is not None else ""
    wrong = f"  ! {row.violation}" if row.violation else ""
    text = _cut(row.text)
    return f"{row.time:12.6f}  {_arrow(row.from_client)}  {frame.name + marks:14} {frame.size:9}  {text}{more}{wrong}"


def _message_line(row: MessageRow) -> str:
    kind = "text" if row.is_text else "binary"
    ratio = "" if row.ratio is None else f" ({row.ratio:.1f} times)"
    return f"{row.time:12.6f}  {_arrow(row.from_client)}  {kind:7} {row.size:9}{ratio:14}  {_cut(row.text)}"


def _arrow(from_client: bool) -> str:
    return "client →" if from_client else "← server"


def _cut(text: str) -> str:
    line = printable(text[: WIDTH + 1].replace("\n", "\\n").replace("\t", "\\t"))
    return line if len(text) <= WIDTH else f"{line[:WIDTH]}…"


def _say_summary(found: Inspection) -> None:
    say(f"  {len(found.frames)} frames, {len(found.messages)} messages, longest gap {found.longest_gap:.6f} s")
    if found.ratio is not None:
        said = f"{found.ratio:.1f} times smaller" if found.ratio >= 1 else "larger than the data"
        say(f"  compressed messages are {said}")
    if found.latencies:
        low, high = min(found.latencies) * 1000, max(found.latencies) * 1000
        say(f"  {len(found.latencies)} pings, answered within {low:.3f} to {high:.3f} ms")
    say(f"  closed {printable(found.close)}" if found.close else "  not closed: no Close frame")
    for line in (*(f"! {each}" for each in found.violations), *found.ends):
        say(f"  {printable(line)}")
