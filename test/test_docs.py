"""The Python in the documentation runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ws4py_ng.server.threadedserver import serve
from ws4py_ng.websocket import EchoWebSocket

ROOT = Path(__file__).parent.parent
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = [
    pytest.param(match[1], id=f"{page.relative_to(ROOT)}:{page.read_text()[: match.start()].count(chr(10)) + 1}")
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for match in SNIPPET.finditer(page.read_text())
]


@pytest.mark.parametrize("code", SNIPPETS)
def test_a_snippet_of_the_docs_runs(code: str) -> None:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert (0, "") == (done.returncode, done.stderr)


CLIENTS = [
    match[1] for match in SNIPPET.finditer((ROOT / "README.md").read_text()) if "ws://127.0.0.1:9000/" in match[1]
]


@pytest.mark.parametrize("code", CLIENTS)
def test_a_client_of_the_readme_says_hello(code: str) -> None:
    with serve(EchoWebSocket, port=0) as server:
        server.start()
        command = [sys.executable, "-W", "error", "-c", code.replace("9000", str(server.port))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert (0, "hello\n", "") == (done.returncode, done.stdout, done.stderr)


def test_there_are_snippets() -> None:
    assert SNIPPETS
    assert 2 == len(CLIENTS)
