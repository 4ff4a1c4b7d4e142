"""Providers for hungry generators: every way to cut what a peer sends."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

from ws4py_ng.handshake.head import Chunk

T = TypeVar("T")


def run(generator: Generator[int, Chunk, T], chunks: Iterable[Chunk]) -> tuple[T, bytes]:
    """Feed chunks, then end of file; return the outcome and the chunks that were not asked for."""
    unread = [*chunks, b""]
    try:
        need = next(generator)
        while True:
            assert isinstance(need, int)
            assert need >= 1
            need = generator.send(unread.pop(0))
    except StopIteration as end:
        return end.value, b"".join(unread)


def run_exactly(generator: Generator[int, Chunk, T], data: bytes) -> tuple[T, bytes]:
    """Feed just as many bytes as are asked for; return the outcome and the bytes not read."""
    position = 0
    try:
        need = next(generator)
        while True:
            chunk = data[position : position + need]
            position += len(chunk)
            need = generator.send(chunk)
    except StopIteration as end:
        return end.value, data[position:]


def cuttings(data: bytes) -> Iterator[list[bytes]]:
    """Cut data in every way that matters: whole, in single bytes, in two at every place."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for i in range(1, len(data)):
        yield [data[:i], data[i:]]
