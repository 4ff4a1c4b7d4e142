"""A pytest plugin that answers ``import ws4py`` with ``ws4py_ng``, for ws4py's own tests.

Both names stand for the very same module objects, so that ``patch("ws4py.client.socket")``
patches what ws4py_ng uses. What else the move to another name changes, a user changes by
``s/ws4py/ws4py_ng/``; here it is done below: the name of the logger.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

OLD, NEW = "ws4py", "ws4py_ng"


def renamed(name: str) -> str | None:
    """Translate ``ws4py.client`` to ``ws4py_ng.client``; None for any other name."""
    if name == OLD or name.startswith(OLD + "."):
        return NEW + name[len(OLD) :]
    return None


class AliasFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Find ws4py's modules, and load ws4py_ng's instead."""

    def __init__(self) -> None:
        self._specs: dict[str, importlib.machinery.ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim `ws4py` and all that is below it, when ws4py_ng has it."""
        new = renamed(fullname)
        if new is None or importlib.util.find_spec(new) is None:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the module under its new name."""
        module = importlib.import_module(renamed(spec.name) or spec.name)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back, which the import system has just replaced."""
        if module.__spec__ is not None:
            module.__spec__ = self._specs.pop(module.__spec__.name)


def install() -> None:
    """Answer for ws4py in this process, and for its logger."""
    sys.meta_path.insert(0, AliasFinder())

    # test_logger.py looks at logging.getLogger("ws4py"), which configure_logger() sets up in
    # ws4py. Ours sets up "ws4py_ng", so that name is translated as the modules' names are.
    get_logger = logging.getLogger

    def renaming_get_logger(name: str | None = None) -> logging.Logger:
        return get_logger(renamed(name or "") or name)

    logging.getLogger = renaming_get_logger


def pytest_configure() -> None:
    """Take over before the first test file is imported."""
    install()
