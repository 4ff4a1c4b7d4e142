"""An entry of a table of programs."""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass, field
from importlib import metadata

from .setup import Program


@dataclass(frozen=True)
class Entry:
    """Name a program that is measured.

    ``where`` is its module and function, ``library`` the distribution whose version counts (ours: ""),
    ``features`` what it can do beside an echo.
    """

    name: str
    where: str
    library: str = ""
    needs: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether it is this project."""
        return self.name.startswith("ng/")

    @property
    def is_pure(self) -> bool:
        """Whether it is the pure build of this project."""
        return self.name.endswith("/pure")

    def missing(self) -> list[str]:
        """Name the modules that it needs and that are not installed."""
        return [name for name in self.needs if not _is_there(name)]

    def version(self) -> str:
        """Return the version of its library."""
        return metadata.version(self.library) if self.library else ""

    def load(self) -> Program:
        """Import it."""
        module, _, function = self.where.partition(":")
        program: Program = getattr(importlib.import_module(module), function)
        return program

    def full_environ(self) -> dict[str, str]:
        """Return the environment that it runs in."""
        inherited = {name: value for name, value in os.environ.items() if name != "WS4PY_NG_PURE"}
        return {**inherited, "PYTHONWARNINGS": "ignore", **self.environ}


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def both_builds(entries: list[Entry]) -> list[Entry]:
    """Add the pure build of each."""
    pure = [Entry(f"{e.name}/pure", e.where, e.library, e.needs, e.features, {"WS4PY_NG_PURE": "1"}) for e in entries]
    return [*entries, *pure]


def tabulate(*groups: list[Entry]) -> dict[str, Entry]:
    """Make the table."""
    return {entry.name: entry for group in groups for entry in group}
