"""The connections of a recording that a command is to show, without their secrets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial

from ..capture import Connection, Recording
from ..capture.model import Inspection, Inspector
from ..capture.sources import without_secrets
from . import options

__all__ = ["Looks"]


class Looks:
    """Look at a recording, again and again if it grows: what was looked at is not looked at again."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._number: int | None = arguments.connection
        self._prepare = partial(without_secrets, names=options.secrets_of(arguments))
        self._known: dict[int, Inspector] = {}

    def at(self, recording: Recording) -> Iterator[tuple[int, Inspection]]:
        """Give what there is to be seen by now of each connection that was asked for, with its number."""
        for number, connection in self._chosen(recording):
            if number not in self._known:
                self._known[number] = Inspector(connection, self._prepare)
            yield number, self._known[number].update()

    def connections(self, recording: Recording) -> list[Connection]:
        """Give these connections themselves."""
        return [self._prepare(connection) for _, connection in self._chosen(recording)]

    def _chosen(self, recording: Recording) -> Iterator[tuple[int, Connection]]:
        for number, connection in enumerate(recording.connections):
            if self._number in (None, number):
                yield number, connection
