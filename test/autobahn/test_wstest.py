"""Where the suite's program is looked for, tried with programs that pretend."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.autobahn.wstest import MissingTool, find_python27, find_wstest


def program(path: Path, status: int = 0) -> Path:
    """Make a program that does nothing but end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_first(tmp_path: Path) -> None:
    named = program(tmp_path / "named")
    program(tmp_path / "bin" / "wstest")
    assert named == find_wstest({"WSTEST": str(named), "PATH": str(tmp_path / "bin")}, tmp_path)


def test_a_variable_that_names_no_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="WSTEST="):
        find_wstest({"WSTEST": str(tmp_path / "nothing"), "PATH": ""}, tmp_path)


def test_the_path_comes_next(tmp_path: Path) -> None:
    there = program(tmp_path / "bin" / "wstest")
    assert there == find_wstest({"PATH": str(tmp_path / "bin")}, tmp_path)


def test_what_was_made_before_is_used(tmp_path: Path) -> None:
    (tmp_path / "complete").touch()
    assert tmp_path / "env" / "bin" / "wstest" == find_wstest({"PATH": ""}, tmp_path)


def test_a_python_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "shims" / "python2.7", status=127)
    real = program(tmp_path / "pyenv" / "versions" / "2.7.18" / "bin" / "python2.7")
    environ = {"PATH": str(tmp_path / "shims"), "PYENV_ROOT": str(tmp_path / "pyenv"), "HOME": str(tmp_path)}
    assert real == find_python27(environ)


def test_pyenv_is_found_in_the_home_folder(tmp_path: Path) -> None:
    real = program(tmp_path / ".pyenv" / "versions" / "2.7.9" / "bin" / "python2.7")
    assert real == find_python27({"PATH": "", "HOME": str(tmp_path)})


def test_with_nothing_at_all_the_error_says_what_would_help(tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match=r"no Python 2\.7.*WSTEST.*PATH.*pyenv install"):
        find_wstest({"PATH": "", "HOME": str(tmp_path)}, tmp_path / "none")
