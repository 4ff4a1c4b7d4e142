"""The client of eventlet connects and receives, in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.server.test_geventserver import play
from test.server.wsgi_hosts import python_of

from .green_scenes import SCENES
from .test_geventclient import folder

__all__ = ["folder"]


@pytest.mark.parametrize("name", SCENES)
def test_scenes(name: str, folder: Path) -> None:
    python = python_of("eventlet")
    if python is None:
        pytest.skip("eventlet has no environment: `make test` makes .venv-legacy")
    play("test.client.green_scenes", "eventlet", name, str(folder), python=python, warnings="ignore")
