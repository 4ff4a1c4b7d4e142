"""The rules of conftest.py, tried on small test files in a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ws4py_ng

REPO = Path(__file__).parent.parent
BOTH = {"compiled", "pure"}


def run(where: Path, source: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on one test file, under nothing but our conftest."""
    (where / "test_it.py").write_text(source)
    (where / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "test.conftest", "-p", "no:cacheprovider", "-c", "pytest.ini"]
    inherited = {key: value for key, value in os.environ.items() if key not in ("CI", "WS4PY_NG_EXPECT")}
    everything = {**inherited, "PYTHONPATH": str(REPO), **env}
    return subprocess.run(command, cwd=where, env=everything, capture_output=True, text=True, check=False)


SKIPS = {
    "mark": "import pytest\n@pytest.mark.skip(reason='no tool')\ndef test(): pass",
    "call": "import pytest\ndef test(): pytest.skip('no tool')",
    "module": "import pytest\npytest.skip('no tool', allow_module_level=True)",
    "import": "import pytest\npytest.importorskip('no_such_module_here', reason='no tool')",
}


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS)
def test_a_skip_is_a_failure_in_ci_and_nowhere_else(tmp_path: Path, source: str) -> None:
    in_ci = run(tmp_path, source, CI="true")
    assert in_ci.returncode not in (0, 5), in_ci.stdout
    assert "no tool" in in_ci.stdout
    assert "CI=true allows no skip" in in_ci.stdout
    assert "1 skipped" in run(tmp_path, source).stdout


def test_an_expected_failure_is_not_a_skip(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail\ndef test(): assert False"
    assert 0 == run(tmp_path, source, CI="true").returncode


def test_the_build_that_was_asked_for_is_the_one_that_is_tested(tmp_path: Path) -> None:
    (other,) = BOTH - {ws4py_ng.BUILD}
    right = run(tmp_path, "def test(): pass", WS4PY_NG_EXPECT=ws4py_ng.BUILD)
    assert 0 == right.returncode, right.stderr
    assert f"ws4py_ng: {ws4py_ng.BUILD} build" in right.stdout
    wrong = run(tmp_path, "def test(): pass", WS4PY_NG_EXPECT=other)
    assert 0 != wrong.returncode
    assert f"WS4PY_NG_EXPECT={other}, but ws4py_ng.BUILD is" in wrong.stderr


def test_what_tests_another_library_runs_in_one_build(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.original\ndef test_other(): pass\ndef test_ours(): pass"
    expected = "2 passed" if ws4py_ng.BUILD == "pure" else "1 passed, 1 deselected"
    assert expected in run(tmp_path, source, CI="true").stdout
