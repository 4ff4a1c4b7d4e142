"""Answer the import of another library's name by a module of ours.

Both names stand for the very same module objects, so that what is patched by one name is patched
by the other. A name below them that we do not have is an ImportError, never the original's.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import logging
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["NAMES", "AliasFinder", "install", "install_as_ws4py"]

# What can be installed, and what answers for it.
NAMES = {
    "ws4py": "ws4py_ng",
    "simple_websocket": "ws4py_ng.shims.simple_websocket",
    "geventwebsocket": "ws4py_ng.shims.geventwebsocket",
    "eventlet.websocket": "ws4py_ng.shims.eventlet.websocket",
}


class AliasFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Find the modules of ``old``, and load those of ``new`` instead."""

    def __init__(self, old: str, new: str) -> None:
        self.old = old
        self.new = new
        self._specs: dict[str, ModuleSpec | None] = {}

    def translated(self, name: str) -> str | None:
        """Translate ``ws4py.client`` to ``ws4py_ng.client``; None for a name that is not ours to answer."""
        if name == self.old or name.startswith(self.old + "."):
            return self.new + name[len(self.old) :]
        return None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Claim the old name and all that is below it."""
        new = self.translated(fullname)
        if new is None:
            return None
        if importlib.util.find_spec(new) is None:
            raise ModuleNotFoundError(f"No module named {fullname!r}: {new} stands in for it here", name=fullname)
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module under its new name."""
        module = importlib.import_module(self.translated(spec.name) or spec.name)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which the import system has just replaced."""
        if module.__spec__ is not None:
            module.__spec__ = self._specs.pop(module.__spec__.name)


def install(*names: str) -> None:
    """Let programs that import one of these names get ours; call it before anything imports them.

    The names are those in `NAMES`. Twice is no harm. Raises ValueError for any other name, RuntimeError
    when the original is imported already: some of the program would go on with it. Then nothing is installed.
    """
    if not names:
        raise ValueError(f"install() without a name, expected some of {_listed()}")
    for name in names:
        if name not in NAMES:
            raise ValueError(f"install({name!r}), expected some of {_listed()}")
    missing = [name for name in names if not _is_installed(name)]
    for name in missing:
        _check_not_imported(name)
    for name in missing:
        sys.meta_path.insert(0, AliasFinder(name, NAMES[name]))
        if name == "ws4py":
            # What a program sets for the logger of that name holds for ours.
            logging.getLogger("ws4py_ng").parent = logging.getLogger("ws4py")


def install_as_ws4py() -> None:
    """Let programs that import ``ws4py`` get this package; see `install`."""
    install("ws4py")


def _listed() -> str:
    return ", ".join(map(repr, NAMES))


def _is_installed(name: str) -> bool:
    return any(isinstance(finder, AliasFinder) and finder.old == name for finder in sys.meta_path)


def _check_not_imported(name: str) -> None:
    found = next((each for each in sys.modules if each == name or each.startswith(name + ".")), None)
    if found is not None:
        file = getattr(sys.modules[found], "__file__", None)
        raise RuntimeError(
            f"{found} is imported already, from {file}: call install({name!r}) before the first import of it"
        )
