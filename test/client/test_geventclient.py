"""The client of gevent connects and receives; test/server/greenlets.py has more of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from test.server.test_geventserver import play

from .green_scenes import SCENES
from .peers import certificates


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("certificates")
    server = certificates().server
    certificates().authority.cert_pem.write_to_path(str(found / "authority.pem"))
    server.cert_chain_pems[0].write_to_path(str(found / "server.pem"))
    server.private_key_pem.write_to_path(str(found / "server.key"))
    return found


@pytest.mark.parametrize("name", SCENES)
def test_scenes(name: str, folder: Path) -> None:
    play("test.client.green_scenes", "gevent", name, str(folder))
