"""What a worker inherits of its parent: which one it is, and the numbers of its sockets."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

__all__ = ["Place"]

VARIABLE = "WS4PY_NG_WORKER"


@dataclass(frozen=True, slots=True)
class Place:
    """Say which worker this is; ``listeners`` are the descriptors of all slots' sockets."""

    slot: int
    control: int
    bus: int
    listeners: list[list[int]]

    def environment(self) -> dict[str, str]:
        """Make the environment of the worker."""
        return {**os.environ, VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def take(cls) -> Place | None:
        """Return the place of this process, None if it is nobody's worker; once, so that its children are none."""
        found = os.environ.pop(VARIABLE, None)
        return None if found is None else cls(**json.loads(found))
