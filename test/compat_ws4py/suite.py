"""Fetch the sdist of a library, take its tests out of it, and run them on ws4py_ng in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

VERSION = "0.6.0"
REPO = Path(__file__).parent.parent.parent
# In the environment that runs the tests, so that it is fetched once.
CACHE = Path(sys.prefix) / "ws4py-sdist"
PLUGIN = "test.compat_ws4py.alias"


def fetch(cache: Path = CACHE, name: str = "ws4py", version: str = VERSION) -> Path:
    """Return an sdist, downloaded at the first time."""
    sdist = cache / f"{name}-{version}.tar.gz"
    if not sdist.exists():
        cache.mkdir(parents=True, exist_ok=True)
        wanted = ["--no-deps", "--no-binary", name, f"{name}=={version}"]
        command = [sys.executable, "-m", "pip", "download", "-q", "-d", str(cache), *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not sdist.exists():
            raise RuntimeError(f"could not fetch {name} {version}: `{' '.join(command)}` said\n{done.stderr[-2000:]}")
    return sdist


def unpack(sdist: Path, where: Path, folder: str = "test", target: str = "test_of_ws4py") -> Path:
    """Write the files that are directly in a folder of the sdist, and nothing else; return where they are."""
    there = where / target
    there.mkdir()
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            path = PurePosixPath(member.name)
            if member.isfile() and folder == str(PurePosixPath(*path.parent.parts[1:])) and ".py" == path.suffix:
                content = archive.extractfile(member)
                assert content is not None
                (there / path.name).write_bytes(content.read())
    return there


def outcomes(
    folder: Path,
    files: Iterable[str],
    plugin: str = PLUGIN,
    python: str = sys.executable,
    timeout: float | None = None,
    **variables: str,
) -> tuple[dict[tuple[str, str], bool], str]:
    """Run test files: whether each test has passed, by module and name, and what pytest printed."""
    result = folder / "result.xml"
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ["-q", "-p", plugin, "-p", "no:cacheprovider", "-c", "pytest.ini", f"--junit-xml={result}"]
    options += ["--continue-on-collection-errors"]  # the counts then show which files are well
    options += [] if timeout is None else [f"--timeout={timeout:g}"]
    command = [python, "-m", "pytest", *options, *(f"{name}.py" for name in files)]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environ |= {"PYTHONPATH": os.pathsep.join((str(REPO), str(folder))), "PYTHONDONTWRITEBYTECODE": "1"} | variables
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    found = {}
    if result.exists():
        for case in ElementTree.parse(result).iter("testcase"):
            failed = any(child.tag in ("failure", "error", "skipped") for child in case)
            found[case.get("classname", ""), case.get("name", "")] = not failed
    return found, done.stdout + done.stderr


def run(folder: Path, files: Iterable[str]) -> tuple[Counter[str], str]:
    """Run test files on ws4py_ng: how many passed in each, and what pytest printed."""
    found, output = outcomes(folder, files)
    return Counter(module.split(".")[0] for (module, _), passed in found.items() if passed), output
