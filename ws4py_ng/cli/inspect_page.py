"""`ws4py-ng inspect --html`, `--har` and `--web`: a recording as a page or a HAR, in a file or served."""

from __future__ import annotations

import argparse
import json
import os
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..capture import Recording
from ..capture.har import to_har
from ..inspector import Site, Wanted, encode, page
from ..limits import DEFAULT_LIMITS
from .console import Failure, log_to_stderr, say
from .growing import Growing
from .looking import Looks
from .serving import address_of, listen, run_until_stopped

__all__ = ["serve_growing", "serve_page", "write_har", "write_page"]

HOST = "127.0.0.1"
# A large recording is looked at while the browser waits.
PATIENCE = 600.0


def write_page(arguments: argparse.Namespace, recording: Recording, wanted: Wanted | None) -> int:
    """Write the page into a file."""
    return _write(arguments, "html", lambda: page(_Encoder(arguments, wanted)(recording)))


def write_har(arguments: argparse.Namespace, recording: Recording) -> int:
    """Write the messages into a HAR."""
    connections = Looks(arguments).connections(recording)
    return _write(arguments, "har", lambda: json.dumps(to_har(replace(recording, connections=connections))).encode())


def _write(arguments: argparse.Namespace, option: str, make: Callable[[], bytes]) -> int:
    """Write a file, which only its owner can read, as a capture."""
    target: str = getattr(arguments, option)
    with suppress(OSError):
        if os.path.samefile(target, arguments.file):
            raise Failure(f"--{option} {target} is the recording itself: choose another name")
    data = make()
    try:
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise Failure(f"cannot write {target}: {error.strerror or error}") from error
    return 0


def serve_page(arguments: argparse.Namespace, recording: Recording, wanted: Wanted | None) -> int:
    """Serve the page until stopped."""
    data = _Encoder(arguments, wanted)(recording)
    return _serve(Site(lambda: data), arguments.open)


def serve_growing(arguments: argparse.Namespace, growing: Growing, wanted: Wanted | None) -> int:
    """Serve the page of a file that is still written; the browser asks for what is new."""
    encoder = _Encoder(arguments, wanted)
    lock = threading.Lock()
    data = b""

    def newest() -> bytes:
        nonlocal data
        with lock:
            is_new = not data
            while growing.read():
                is_new = True
            if is_new:
                data = encoder(growing.recording)
            return data

    newest()  # what is no capture is told now
    return _serve(Site(newest, follow=True), arguments.open)


class _Encoder:
    """Make data for the page, again and again if the recording grows."""

    def __init__(self, arguments: argparse.Namespace, wanted: Wanted | None) -> None:
        self._arguments = arguments
        self._wanted = wanted
        self._looks = Looks(arguments)

    def __call__(self, recording: Recording) -> bytes:
        return encode(
            self._looks.at(recording),
            source=Path(self._arguments.file).name,
            problems=map(str, recording.problems),
            wanted=self._wanted,
            with_frames=not self._arguments.messages,
        )


def _serve(site: Site, open_browser: bool) -> int:
    log_to_stderr(False)
    limits = replace(DEFAULT_LIMITS, open_timeout=PATIENCE)
    server = listen({}, HOST, 0, process_request=site.answer, limits=limits, capture=False)
    address = f"http://{address_of(server, HOST)}{site.path}"

    def announce() -> None:
        say(address)
        if open_browser and not webbrowser.open(address):
            raise Failure(f"no browser was found: open {address}")

    return run_until_stopped(server, announce)
