"""Fetch ws4py's sdist, take its tests out of it, and run them on ws4py_ng in a process of their own."""

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


def fetch(cache: Path = CACHE) -> Path:
    """Return ws4py's sdist, downloaded at the first time."""
    sdist = cache / f"ws4py-{VERSION}.tar.gz"
    if not sdist.exists():
        cache.mkdir(parents=True, exist_ok=True)
        wanted = ["--no-deps", "--no-binary", "ws4py", f"ws4py=={VERSION}"]
        command = [sys.executable, "-m", "pip", "download", "-q", "-d", str(cache), *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not sdist.exists():
            raise RuntimeError(f"could not fetch ws4py {VERSION}: `{' '.join(command)}` said\n{done.stderr[-2000:]}")
    return sdist


def unpack(sdist: Path, where: Path) -> Path:
    """Write the files of ``test/`` and nothing else; return their folder."""
    target = where / "test_of_ws4py"
    target.mkdir()
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            path = PurePosixPath(member.name)
            if member.isfile() and "test" == path.parent.name and ".py" == path.suffix:
                content = archive.extractfile(member)
                assert content is not None
                (target / path.name).write_bytes(content.read())
    return target


def run(folder: Path, files: Iterable[str]) -> tuple[Counter[str], str]:
    """Run test files on ws4py_ng: how many passed in each, and what pytest printed."""
    result = folder / "result.xml"
    (folder / "pytest.ini").write_text("[pytest]\n")
    options = ["-q", "-p", PLUGIN, "-p", "no:cacheprovider", "-c", "pytest.ini", f"--junit-xml={result}"]
    options += ["--continue-on-collection-errors"]  # the counts then show which files are well
    command = [sys.executable, "-m", "pytest", *options, *(f"{name}.py" for name in files)]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environ |= {"PYTHONPATH": str(REPO), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    passed: Counter[str] = Counter()
    if result.exists():
        for case in ElementTree.parse(result).iter("testcase"):
            if not any(child.tag in ("failure", "error", "skipped") for child in case):
                passed[case.get("classname", "").split(".")[0]] += 1
    return passed, done.stdout + done.stderr
