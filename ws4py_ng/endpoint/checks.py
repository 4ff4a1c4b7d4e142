"""What a client and a server are given for every connection, checked where they are made."""

from __future__ import annotations

from ..extensions import PerMessageDeflateFactory
from ..limits import Limits

__all__ = ["check_agreement"]


def check_agreement(deflate: object, heartbeat_freq: object, limits: object) -> None:
    """Raise TypeError or ValueError for what every connection would be given."""
    if deflate is not None and not isinstance(deflate, bool | PerMessageDeflateFactory):
        raise TypeError(f"deflate is {deflate!r}, expected True, False or a PerMessageDeflateFactory")
    if heartbeat_freq is not None:
        if isinstance(heartbeat_freq, bool) or not isinstance(heartbeat_freq, int | float):
            raise TypeError(f"heartbeat_freq is {heartbeat_freq!r}, expected seconds, or None for no heartbeat")
        if not heartbeat_freq > 0:
            raise ValueError(f"heartbeat_freq is {heartbeat_freq!r}, expected more than 0, or None for no heartbeat")
    if not isinstance(limits, Limits):
        raise TypeError(f"limits is {limits!r}, expected ws4py_ng.limits.Limits(...)")
