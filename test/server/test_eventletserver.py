"""eventlet's server with WebSockets, and its client: scenes in an environment of its own."""

from __future__ import annotations

import pytest

from .greenlets import SCENES
from .test_geventserver import play
from .wsgi_hosts import python_of


@pytest.mark.parametrize("name", SCENES)
def test_scenes_of_every_library(name: str) -> None:
    python = python_of("eventlet")
    if python is None:
        pytest.skip("eventlet has no environment: `make test` makes .venv-legacy")
    play("test.server.greenlets", "eventlet", name, python=python, warnings="ignore")
