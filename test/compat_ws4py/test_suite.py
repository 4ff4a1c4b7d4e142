"""ws4py 0.6.0's own tests pass on ws4py_ng: the promise of ``s/ws4py/ws4py_ng/``."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

from test.compat_ws4py import suite

# Every test of each file, counted, so that a file that is not collected cannot pass.
EXPECTED = {
    "test_cherrypy": 1,
    "test_client": 17,
    "test_frame": 25,
    "test_logger": 4,
    "test_manager": 17,
    "test_messaging": 8,
    "test_stream": 32,
    "test_utils": 1,
    "test_websocket": 16,
}


def test_ws4pys_own_tests_pass(tmp_path: Path) -> None:
    passed, output = suite.run(suite.unpack(suite.fetch(), tmp_path), EXPECTED)
    assert EXPECTED == passed, output
    assert 121 == passed.total()


def test_both_names_are_one_module_and_a_failure_is_counted(tmp_path: Path) -> None:
    (tmp_path / "test_names.py").write_text(
        "import logging, ws4py.exc, ws4py_ng.exc, sys\n"
        "from ws4py import exc\n"
        "def test_same(): assert ws4py.exc is ws4py_ng.exc is exc and ws4py is sys.modules['ws4py_ng']\n"
        "def test_spec(): assert 'ws4py_ng.exc' == exc.__spec__.name == exc.__name__\n"
        "def test_logger(): assert logging.getLogger('ws4py') is logging.getLogger('ws4py_ng').parent\n"
        "def test_missing():\n    import ws4py.no_such_module\n"
    )
    passed, output = suite.run(tmp_path, ["test_names"])
    assert {"test_names": 3} == passed, output
    assert "No module named 'ws4py.no_such_module'" in output


def test_only_the_tests_are_unpacked(tmp_path: Path) -> None:
    source = tmp_path / "ws4py-0.6.0"
    for name in ("test/test_x.py", "test/notes.txt", "ws4py/__init__.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(f"# {name}")
    with tarfile.open(tmp_path / "sdist.tar.gz", "w:gz") as archive:
        archive.add(source, source.name)
    target = suite.unpack(tmp_path / "sdist.tar.gz", tmp_path)
    assert ["test_x.py"] == [path.name for path in target.iterdir()]


def test_the_sdist_is_fetched_once(tmp_path: Path) -> None:
    there = tmp_path / f"ws4py-{suite.VERSION}.tar.gz"
    there.touch()
    assert there == suite.fetch(tmp_path)
    assert suite.CACHE.is_relative_to(sys.prefix)
