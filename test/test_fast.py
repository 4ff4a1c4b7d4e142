"""The libraries of the extra ``fast``: found when needed, left alone on demand."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from ws4py_ng import fast

NAMES = {"isal": "isal.isal_zlib", "zlib_ng": "zlib_ng.zlib_ng"}


def test_what_is_installed_is_found() -> None:
    assert {name for name in NAMES if find_spec(name)} == set(fast.libraries())


def test_the_environment_leaves_zlib_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS4PY_NG_FASTDEFLATE", "0")
    assert {} == fast.libraries()


def test_what_is_not_installed_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setitem(sys.modules, name, None)
    assert {} == fast.libraries()


def test_they_are_imported_by_the_first_compressed_message() -> None:
    code = (
        "import sys\n"
        "from ws4py_ng.websocket import WebSocket\n"
        "from ws4py_ng.extensions import PerMessageDeflate\n"
        "codec = PerMessageDeflate()\n"
        f"print(*[name for name in {list(NAMES)} if name in sys.modules], end=';')\n"
        "codec.compress(b'Hello')\n"
        f"print(*[name for name in {list(NAMES)} if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f";{' '.join(fast.libraries())}" == run.stdout.strip()
