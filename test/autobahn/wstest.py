"""Find the Autobahn Testsuite's `wstest`, or make it. It needs Python 2.7, which it brings nothing of."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

REPO = Path(__file__).parent.parent.parent
VERSION = "25.10.1"
HOME = REPO / ".wstest"


class MissingTool(Exception):
    """Say which tool is missing and what would help."""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is meant for our Python and would lead the other one astray."""
    return {key: value for key, value in environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS")}


def find_wstest(environ: Mapping[str, str] = os.environ, home: Path = HOME) -> Path:
    """Return `$WSTEST`, the `wstest` of the PATH, or the one below .wstest/, made when needed."""
    if environ.get("WSTEST"):
        path = Path(environ["WSTEST"])
        if not os.access(path, os.X_OK):
            raise MissingTool(f"WSTEST={path} is not a program")
        return path
    found = shutil.which("wstest", path=environ.get("PATH", ""))
    if found:
        return Path(found)
    made = home / "env" / "bin" / "wstest"
    if not (home / "complete").exists():
        make_wstest(find_python27(environ), home)
    return made


def python27_candidates(environ: Mapping[str, str]) -> Iterable[Path]:
    """List where a Python 2.7 may be: the PATH, then pyenv's versions."""
    found = shutil.which("python2.7", path=environ.get("PATH", ""))
    if found:
        yield Path(found)
    roots = [environ.get("PYENV_ROOT"), environ.get("HOME") and f"{environ['HOME']}/.pyenv"]
    for root in filter(None, roots):
        yield from sorted(Path(root).glob("versions/2.7*/bin/python2.7"))


def find_python27(environ: Mapping[str, str]) -> Path:
    """Return a Python 2.7 that runs: pyenv's shims are there for versions that are switched off."""
    for python in python27_candidates(environ):
        probe = [str(python), "-c", "import sys; sys.exit(sys.version_info[:2] != (2, 7))"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return python
    raise MissingTool(
        "no wstest, and no Python 2.7 to make one with. Set WSTEST to the program, or put it on the PATH, "
        f"or install Python 2.7 (`pyenv install 2.7.18`); autobahntestsuite=={VERSION} is then installed below {HOME}"
    )


def make_wstest(python: Path, home: Path) -> None:
    """Install the suite in an environment of its own below `home`; that interpreter stays as it is."""
    print(f"autobahn: installing autobahntestsuite {VERSION} below {home} with {python}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    tools, own = home / "virtualenv", home / "env" / "bin"
    steps = {
        "virtualenv": [python, "-m", "pip", "install", "-q", "--target", tools, "virtualenv<20.16"],
        "env": [python, "-m", "virtualenv", "-q", home / "env"],
        "suite": [own / "python", "-m", "pip", "install", "-q", f"autobahntestsuite=={VERSION}"],
        "trial": [own / "wstest", "--autobahnversion"],
    }
    for name, step in steps.items():
        command = [str(part) for part in step]
        # Only virtualenv itself may see what it needs: pip would take it for installed.
        env = clean_environment(os.environ) | ({"PYTHONPATH": str(tools)} if name == "env" else {})
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            output = done.stdout.decode(errors="replace")[-2000:]
            raise MissingTool(f"could not make wstest: `{' '.join(command)}` failed with\n{output}")
    (home / "complete").touch()
