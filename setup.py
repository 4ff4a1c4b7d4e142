"""Build the compiled core, and nothing else; everything about the package is in pyproject.toml.

Three of the five extensions are compiled from the same files that the pure build runs. Their C
types stand in a .pxd that has the compiled module's name, where Cython looks for it.
"""

from __future__ import annotations

import os
import platform
import sys

from setuptools import Extension, setup

CORE = "ws4py_ng._core."
SOURCES = {
    "frames_c": "ws4py_ng/_core/frames_c.pyx",
    "mask_c": "ws4py_ng/_core/mask_c.pyx",
    "outbox_c": "ws4py_ng/_core/outbox_py.py",
    "reader_c": "ws4py_ng/_core/reader_py.py",
    "writer_c": "ws4py_ng/_core/writer_py.py",
}
# Safe because the core compares every index with the length of its buffer first; the same
# code runs with Python's own checks in the pure build, under the same tests.
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    # The types stand in the .pxd files; an annotation `int` there would mean a Python object.
    "annotation_typing": False,
}
OPTIMIZE = [] if sys.platform == "win32" else ["-O3"]


def wanted() -> bool:
    """Tell whether this build gets a compiled core."""
    return os.environ.get("WS4PY_NG_PURE", "") in ("", "0") and platform.python_implementation() == "CPython"


def extensions() -> list[Extension]:
    """Translate the core to C below build/; a compiler that is missing or fails is no error."""
    from Cython.Build import cythonize

    modules = [Extension(CORE + name, [source], extra_compile_args=OPTIMIZE) for name, source in SOURCES.items()]
    # Always translate anew: Cython's own time stamps do not see a .pxd that is not named after
    # the source.
    made: list[Extension] = cythonize(
        modules, compiler_directives=DIRECTIVES, build_dir="build/cython", force=True, quiet=True
    )
    for module in made:
        module.optional = True  # not in the constructor: cythonize does not hand it on
    return made


setup(ext_modules=extensions() if wanted() else [])
