"""gevent's server with WebSockets, and its client: scenes in processes of their own.

How it keeps the contract of all transports is in test/transports, how it gets on with clients of
other makes in test_wsgi.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from test.programs import WAIT, environment

from .gevent_scenes import SCENES as OURS
from .greenlets import SCENES


def play(module: str, *arguments: str, python: str = sys.executable, warnings: str = "error") -> None:
    """Play a scene, which must not print anything."""
    command = [python, "-W", warnings, "-m", module, *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=WAIT, check=False)
    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode), done.stderr


@pytest.mark.parametrize("name", SCENES)
def test_scenes_of_every_library(name: str) -> None:
    play("test.server.greenlets", "gevent", name)


@pytest.mark.parametrize("name", OURS)
def test_scenes_of_its_own(name: str) -> None:
    play("test.server.gevent_scenes", name)
