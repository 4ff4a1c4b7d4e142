"""The law of docs/design and the house style, as far as a machine can read it.

Imports point down; layers 0 to 4 know no socket, no loop and no clock; a third-party library
is known to one module; files and functions stay short.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "ws4py_ng"
ROOT = Path(__file__).parent.parent / PACKAGE

# Every module of the package stands here under the first part of its name; a folder has one
# row for all that is in it, `__init__` is the package itself.
LAYERS: dict[int, tuple[str, ...]] = {
    0: ("_version", "codes", "exc", "limits", "states"),
    1: ("_core",),
    2: ("compat", "extensions", "framing", "handshake", "messaging", "uri", "utf8validator"),
    3: ("keepalive", "pauses", "shared", "streaming"),
    4: ("endpoint",),
    5: ("capture", "fast", "pubsub", "receiving", "transports"),
    6: ("async_websocket", "client", "manager", "metrics", "server", "tracing", "websocket", "workers"),
    7: ("__init__", "__main__", "cli", "demo", "inspector", "pytest_plugin", "shims", "testing"),
}
LAYER_OF = {row: layer for layer, rows in LAYERS.items() for row in rows}

# Imports within a layer that are wanted, (importer, imported): reason. Never both ways.
SIDEWAYS: dict[tuple[str, str], str] = {
    ("messaging", "framing"): "ws4py's messages build themselves as frames",
    ("handshake", "extensions"): "extensions are negotiated in the handshake's headers",
    ("handshake", "uri"): "a request names a host and a resource",
    ("capture", "transports"): "a replay is one more provider of bytes, by way of the one in memory",
    ("streaming", "shared"): "a stream encodes what many connections are sent",
    ("async_websocket", "websocket"): "ws4py's asyncio class is a WebSocket",
    ("client", "websocket"): "ws4py's client is a WebSocket",
    ("server", "websocket"): "a server makes WebSockets",
    ("server", "manager"): "ws4py's wsgiref server owns a manager",
    ("__init__", "shims"): "`install_as_ws4py` is one of them",
    ("metrics", "websocket"): "what is counted is a WebSocket",
    ("tracing", "websocket"): "what has a span is a WebSocket",
    ("workers", "metrics"): "the workers' figures are summed",
    ("workers", "server"): "each worker is a server",
    ("workers", "websocket"): "of a WebSocket class",
    ("__main__", "cli"): "`python -m ws4py_ng` is the command line",
    ("cli", "demo"): "`ws4py-ng demo` runs the demo",
    ("cli", "inspector"): "`ws4py-ng inspect` makes the page of a recording",
}

PURE_UP_TO = 4
IMPURE = (
    *("_thread", "asyncio", "concurrent", "http.client", "http.server", "multiprocessing", "sched", "select"),
    *("selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading", "time", "urllib.request"),
)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


class Import(NamedTuple):
    """Say that a module imports another: both by full dotted name, with the line."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def row_of(module: str) -> str:
    """Name the row of LAYERS for a module of the package: ``ws4py_ng.client.base`` -> ``client``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def modules() -> dict[str, Path]:
    """Find every Python module of the package: dotted name -> file."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, source: str, *, is_package: bool = False) -> Iterator[Import]:
    """Find all imports of a module: in functions, under TYPE_CHECKING and by name as well."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = absolute("." * node.level + (node.module or ""), package)
            for alias in node.names:
                # `from . import exc` imports a module, `from .exc import ProtocolError` a name of it.
                names_module = base == PACKAGE and alias.name in LAYER_OF
                yield Import(module, f"{base}.{alias.name}" if names_module else base, node.lineno)
        elif isinstance(node, ast.Call) and is_import_call(node.func):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield Import(module, absolute(first.value, package), node.lineno)


def is_import_call(function: ast.expr) -> bool:
    """Tell whether this is ``import_module`` or ``__import__``."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def absolute(name: str, package: str) -> str:
    """Resolve a relative module name: two dots in ``ws4py_ng.client`` -> ``ws4py_ng``."""
    level = len(name) - len(name.lstrip("."))
    if level == 0:
        return name
    base = package.split(".")[: len(package.split(".")) - (level - 1)]
    return ".".join([*base, *filter(None, [name[level:]])])


def complaint(found: Import) -> str | None:
    """Say what is wrong with one import, None when nothing is."""
    source = row_of(found.importer)
    layer = LAYER_OF[source]
    top = found.imported.partition(".")[0]
    if top != PACKAGE:
        if layer <= PURE_UP_TO and top not in sys.stdlib_module_names:
            return f"{found}: layers 0 to {PURE_UP_TO} know no third party"
        if layer <= PURE_UP_TO and any(f"{found.imported}.".startswith(f"{name}.") for name in IMPURE):
            return f"{found}: layers 0 to {PURE_UP_TO} know no sockets, loops and clocks"
        return None
    target = row_of(found.imported)
    if target not in LAYER_OF:
        return f"{found}: {target!r} has no row in LAYERS"
    if target == source or LAYER_OF[target] < layer or (source, target) in SIDEWAYS:
        return None
    direction = "sideways" if LAYER_OF[target] == layer else "up"
    return f"{found}: {direction}, from layer {layer} to layer {LAYER_OF[target]}"


def long_functions(module: str, source: str) -> Iterator[str]:
    """Find the functions that are too long, docstring included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{module}:{node.lineno} {node.name}() has {lines} lines, at most {MAX_FUNCTION_LINES}"


def all_imports() -> list[Import]:
    """Find every import of every module in the package that has a row."""
    return [
        found
        for module, path in modules().items()
        if row_of(module) in LAYER_OF
        for found in imports(module, path.read_text("utf-8"), is_package=path.name == "__init__.py")
    ]


def test_every_module_has_a_layer() -> None:
    missing = sorted(module for module in modules() if row_of(module) not in LAYER_OF)
    assert [] == missing, f"add a row for each to LAYERS in {__file__}, at the lowest layer that can hold it"


def test_no_module_has_two_layers() -> None:
    assert sum(map(len, LAYERS.values())) == len(LAYER_OF)


def test_sideways_imports_stay_within_a_layer_and_go_one_way() -> None:
    for source, target in SIDEWAYS:
        assert LAYER_OF[source] == LAYER_OF[target], f"{source} -> {target} is not sideways"
        assert (target, source) not in SIDEWAYS, f"{source} and {target} import each other"


def test_imports_point_down_and_the_lower_layers_are_pure() -> None:
    assert [] == [problem for problem in map(complaint, all_imports()) if problem]


def test_a_third_party_library_is_known_to_one_module() -> None:
    users: dict[str, set[str]] = {}
    for found in all_imports():
        top = found.imported.partition(".")[0]
        if top != PACKAGE and top not in sys.stdlib_module_names:
            users.setdefault(top, set()).add(found.importer)
    assert {} == {library: sorted(known) for library, known in users.items() if len(known) > 1}


def test_files_are_short() -> None:
    counts = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for suffix in ("py", "pyx", "pxd")
        for path in ROOT.rglob(f"*.{suffix}")
    }
    assert {} == {name: lines for name, lines in counts.items() if lines > MAX_FILE_LINES}


def test_functions_are_short() -> None:
    assert [] == [
        text for module, path in modules().items() for text in long_functions(module, path.read_text("utf-8"))
    ]


@pytest.mark.parametrize(
    ("module", "most", "without"),
    [
        ("ws4py_ng", {"ws4py_ng", "ws4py_ng._version"}, "logging asyncio socket ssl"),
        # A class may be served by any transport, and be recorded or not.
        ("ws4py_ng.websocket", None, "asyncio ssl http hashlib ws4py_ng.handshake ws4py_ng.capture.tap"),
        ("ws4py_ng.server.threadedserver", None, "asyncio ws4py_ng.capture.live ws4py_ng.transports.aio"),
    ],
)
def test_an_import_loads_what_it_needs(module: str, most: set[str] | None, without: str) -> None:
    code = f"import sys; before = set(sys.modules); import {module}; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert module in loaded
    assert set() == loaded & set(without.split())
    assert most is None or most == {name for name in loaded if name.startswith(PACKAGE)}
    tops = {name.partition(".")[0] for name in loaded if "cython" not in name}
    assert {PACKAGE} == tops - sys.stdlib_module_names


# The law has a law of its own: that it would notice.


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("ws4py_ng.streaming", "import socket", "know no sockets"),
        ("ws4py_ng.streaming", "def f():\n    from time import monotonic", "know no sockets"),
        ("ws4py_ng.streaming", "import asyncio.events", "know no sockets"),
        ("ws4py_ng._core.reader_py", "import gevent.socket", "know no third party"),
        ("ws4py_ng.framing", "from .endpoint import Endpoint", "up, from layer 2 to layer 4"),
        ("ws4py_ng.framing", "from ws4py_ng.streaming import Stream", "up, from layer 2 to layer 3"),
        ("ws4py_ng.framing", "import ws4py_ng", "up, from layer 2 to layer 7"),
        ("ws4py_ng.framing", "from . import __version__", "up, from layer 2 to layer 7"),
        ("ws4py_ng.framing", "from . import messaging", "sideways, from layer 2 to layer 2"),
        ("ws4py_ng.handshake.request", "from ..extensions.deflate import Deflate\nfrom .. import endpoint", "up, from"),
        ("ws4py_ng.transports.blocking", "from ..pubsub.hub import Hub", "sideways, from layer 5"),
        ("ws4py_ng.exc", "import importlib\nimportlib.import_module('.client', 'ws4py_ng')", "up, from layer 0"),
        ("ws4py_ng.cli", "from .novelty import thing", "no row in LAYERS"),
    ],
)
def test_a_broken_rule_is_reported(module: str, source: str, expected: str) -> None:
    problems = [problem for problem in map(complaint, imports(module, source)) if problem]
    assert 1 == len(problems)
    assert expected in problems[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "ws4py_ng.streaming",
            "from struct import Struct\nfrom .messaging import TextMessage\nfrom . import codes, exc",
        ),
        ("ws4py_ng.handshake.request", "from .headers import parse\nfrom ..codes import CLOSE\nfrom .. import exc"),
        ("ws4py_ng.client.threadedclient", "import threading\nfrom . import WebSocketBaseClient\nfrom .. import exc"),
        ("ws4py_ng.transports.gevent", "import gevent.socket\nfrom ..endpoint import Endpoint"),
        ("ws4py_ng._core.reader", "from .reader_c import FrameReader\nfrom ..exc import ProtocolError"),
        ("ws4py_ng.client.base", "from ..websocket import WebSocket"),
        ("ws4py_ng.handshake.response", "from http import HTTPStatus"),
    ],
)
def test_a_good_import_is_not_reported(module: str, source: str) -> None:
    assert [] == [problem for problem in map(complaint, imports(module, source)) if problem]


def test_imports_of_a_package_start_at_itself() -> None:
    found = list(imports("ws4py_ng.client", "from .base import x\nfrom ..codes import TEXT", is_package=True))
    assert ["ws4py_ng.client.base", "ws4py_ng.codes"] == [each.imported for each in found]


def test_a_long_function_is_reported() -> None:
    body = "\n".join(f"x = {n}" for n in range(MAX_FUNCTION_LINES))
    source = "class A:\n    async def long(self):\n" + textwrap.indent(body, " " * 8)
    assert [f"m:2 long() has {MAX_FUNCTION_LINES + 1} lines, at most {MAX_FUNCTION_LINES}"] == list(
        long_functions("m", source)
    )
